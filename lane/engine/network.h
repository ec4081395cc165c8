// A network on one device: its graph, its weights and, once there is one, its compiled artifact.
// Plain types only, so that pipelines need no LibTorch header. One Network belongs to one thread, which
// calls run(); bind_artifact() alone may come from another thread and takes effect between two runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "cache_store/artifact_manifest.h"
#include "lane/engine/weight_delivery.h"
#include "sharding/card_memory.h"
#include "sharding/package/package_manifest.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

enum class Executor { kUncompiled, kCompiled };
[[nodiscard]] std::string_view to_string(Executor executor);

// What the network looks at in one run: frames = frames_before + 1 + frames_after.
struct TileShape {
  std::int64_t frames = 1;
  std::int64_t height = 0;  // input pixels
  std::int64_t width = 0;
  auto operator<=>(const TileShape&) const = default;
};

// One tensor as this network hands it over.
struct TensorSpec {
  std::string dtype;  // float32, float16, bfloat16, int64, …
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  bool operator==(const TensorSpec&) const = default;
};

// What the artifact's signed manifest says about the library in it.
struct ArtifactSpec {
  std::string isa;     // "avx2" | "avx512": checked against this CPU before anything is opened
  std::string device;  // "cpu" | "cuda"
  TileShape shape;
  std::vector<cache::TensorSpec> inputs;  // as signed: frames first, then every parameter
  std::vector<cache::TensorSpec> outputs;
  std::uint64_t run_peak_bytes = 0;  // beyond inputs and parameters, as its maker measured it
};

struct NetworkSource {
  const sharding::PackageManifest* manifest = nullptr;  // read during load only
  // The graphs of one dtype that this lane may run, as the bytes of their .pt2 files (hashes already checked).
  struct Graph {
    sharding::PackageGraph description;
    std::span<const std::byte> pt2;
  };
  std::vector<Graph> graphs;
  std::span<const std::byte> weights;  // the safetensors file; not needed any more after load
  sharding::GraphDtype dtype = sharding::GraphDtype::kFloat32;
  std::string device = "cpu";  // "cpu" | "cuda:N"
  WeightDelivery* delivery = nullptr;  // how weights come onto the device; nullptr: copied one by one. Used during load only
  int threads = 1;  // of the CPU, set for the whole process; one whatever this says where bits depend on it
};

class Network {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Network>> load(const NetworkSource& source);
  virtual ~Network() = default;

  // One tile: `frames_hwc` holds frames x height x width x channels floats, `out_hwc` height*scale x
  // width*scale x channels. The shape must be one that a loaded graph takes (see manifest.find_graph);
  // padding to it and cropping are the caller's.
  [[nodiscard]] virtual Status run(Executor executor, std::span<const float> frames_hwc,
                                   TileShape shape, std::span<float> out_hwc) = 0;

  // The same for pixels that are on the network's device, in its dtype. `frames`: 1 x channels x height x width in
  // channels_last, or for several frames 1 x frames x channels x height x width, contiguous. `out`: 1 x channels x
  // height*scale x width*scale, in whatever layout the network gives. Work is put into the thread's current stream, and
  // nothing is waited for.
  [[nodiscard]] virtual Status run_on_device(Executor executor, const at::Tensor& frames, TileShape shape,
                                             at::Tensor& out) = 0;
  [[nodiscard]] virtual sharding::GraphDtype dtype() const = 0;
  [[nodiscard]] virtual const std::string& device() const = 0;  // "cpu" | "cuda:N"

  // Opens a compiled library from a sealed memory file whose content was verified by the caller.
  // kCompiled runs of that shape work from the next run on. Thread-safe.
  [[nodiscard]] virtual Status bind_artifact(const ArtifactSpec& spec, int sealed_fd) = 0;
  [[nodiscard]] virtual bool has_artifact(TileShape shape) const = 0;

  // The tensors that an artifact for this shape takes: what the compile child is asked for and what
  // goes into the artifact's key.
  [[nodiscard]] virtual Result<std::vector<TensorSpec>> input_specs(TileShape shape) const = 0;

  // Peak bytes of activations of one uncompiled run, inputs and output included, weights not.
  // Computed from the graph alone: nothing is allocated.
  [[nodiscard]] virtual Result<std::uint64_t> peak_activation_bytes(TileShape shape) const = 0;
  // What a run takes of its device and gives back, inputs apart: the graph's walk, or what the artifact took when it was made.
  [[nodiscard]] virtual Result<std::vector<sharding::MemoryStep>> memory_steps(Executor executor, TileShape shape) const = 0;
  [[nodiscard]] virtual std::uint64_t weights_bytes() const = 0;
  // That it runs with: fewer than it was given where its bits depend on them.
  [[nodiscard]] virtual int threads() const = 0;
};

// Once at the start of a lane, before the first tensor: raises glibc's mmap and trim thresholds, so that
// large buffers are reused instead of being mapped and faulted in anew for every operator.
void tune_allocator();

// ISA level of this CPU: "avx512", "avx2" or "none".
[[nodiscard]] std::string_view cpu_isa_level();

}  // namespace kiln::lane
