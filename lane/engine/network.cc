#include "lane/engine/network.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "lane/engine/compiled_artifact.h"
#include "lane/engine/graph_runner.h"
#include "lane/engine/network_weights.h"
#include "lane/engine/torch_types.h"
#include "sharding/compile_key.h"
#include "sharding/graph/liveness.h"
#include "sharding/graph/thread_dependence.h"
#include "sharding/package/pt2_archive.h"

namespace kiln::lane {
namespace {

using sharding::PackageGraph;

struct LoadedGraph {
  PackageGraph description;
  std::unique_ptr<GraphRunner> runner;
};

// What a Network keeps of its manifest.
struct Geometry {
  std::int64_t channels = 3;
  std::int64_t scale = 1;
  std::int64_t frames = 1;
  c10::ScalarType dtype = c10::ScalarType::Float;
};

// Size of the graph's x for this shape: one frame has no frame dimension.
std::vector<std::int64_t> input_sizes(const Geometry& geometry, TileShape shape) {
  if (geometry.frames == 1) return {1, geometry.channels, shape.height, shape.width};
  return {1, shape.frames, geometry.channels, shape.height, shape.width};
}

std::vector<std::int64_t> input_strides(const Geometry& geometry, TileShape shape) {
  const std::int64_t c = geometry.channels;
  const std::int64_t pixels = shape.height * shape.width;
  if (geometry.frames == 1) return {pixels * c, 1, shape.width * c, c};
  return {shape.frames * c * pixels, c * pixels, pixels, shape.width, 1};
}

// The caller's pixels as the tensor that the graph takes; without a copy where they already are that.
at::Tensor make_input(const Geometry& geometry, std::span<const float> frames_hwc, TileShape shape,
                      c10::Device device) {
  const std::int64_t c = geometry.channels;
  const std::int64_t frame = shape.height * shape.width * c;
  // Nothing writes into it: graphs that write into their inputs are refused when they are read.
  auto* data = const_cast<float*>(frames_hwc.data());
  std::vector<std::int64_t> strides = {frame, 1, shape.width * c, c};
  if (geometry.frames > 1) strides = {shape.frames * frame, frame, 1, shape.width * c, c};
  at::Tensor pixels = at::from_blob(data, input_sizes(geometry, shape), strides,
                                    at::TensorOptions().dtype(c10::ScalarType::Float));
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % sharding::kTensorAlignmentBytes == 0;
  if (geometry.frames == 1 && geometry.dtype == c10::ScalarType::Float && device.is_cpu() && aligned) {
    return pixels;
  }
  const auto options = at::TensorOptions().dtype(geometry.dtype).device(device);
  at::Tensor input = at::empty_strided(pixels.sizes(), input_strides(geometry, shape), options);
  return input.copy_(pixels);
}

void copy_output(const at::Tensor& output, std::int64_t channels, std::span<float> out_hwc) {
  const std::int64_t height = output.size(2);
  const std::int64_t width = output.size(3);
  at::Tensor target = at::from_blob(out_hwc.data(), output.sizes(),
                                    {height * width * channels, 1, width * channels, channels},
                                    at::TensorOptions().dtype(c10::ScalarType::Float));
  target.copy_(output);
}

// The graph takes the frames and then exactly the manifest's parameters.
Status check_signature(const sharding::ExportedGraph& graph, const Geometry& geometry,
                       const std::vector<at::Tensor>& weights) {
  if (graph.inputs.size() != weights.size() + 1 || graph.outputs.size() != 1) {
    return fail(input_refused("the graph takes {} inputs and gives {}, the manifest has {} parameters",
                              graph.inputs.size(), graph.outputs.size(), weights.size()));
  }
  const auto& x = graph.value(graph.inputs[0]).tensor;
  if (x.sizes.size() != (geometry.frames == 1 ? 4U : 5U) || to_torch(x.dtype) != geometry.dtype) {
    return fail(input_refused("the graph's first input is not the manifest's frames"));
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const sharding::GraphValue& value = graph.value(graph.inputs[i + 1]);
    KILN_TRY_ASSIGN(const auto sizes, sharding::evaluate_all(value.tensor.sizes, {}));
    if (c10::IntArrayRef(sizes) != weights[i].sizes() ||
        to_torch(value.tensor.dtype) != weights[i].scalar_type()) {
      return fail(input_refused("parameter {} is {} in the manifest, the graph takes {}", i,
                                fmt::join(weights[i].sizes(), "x"), fmt::join(sizes, "x")));
    }
  }
  return {};
}

class LoadedNetwork final : public Network {
 public:
  Status load(const NetworkSource& source);
  Status run(Executor executor, std::span<const float> frames_hwc, TileShape shape,
             std::span<float> out_hwc) override;
  Status run_on_device(Executor executor, const at::Tensor& frames, TileShape shape, at::Tensor& out) override;
  [[nodiscard]] sharding::GraphDtype dtype() const override { return dtype_; }
  [[nodiscard]] const std::string& device() const override { return device_name_; }
  Status bind_artifact(const ArtifactSpec& spec, int sealed_fd) override;
  [[nodiscard]] bool has_artifact(TileShape shape) const override { return find_artifact(shape) != nullptr; }
  [[nodiscard]] Result<std::vector<TensorSpec>> input_specs(TileShape shape) const override;
  [[nodiscard]] Result<std::uint64_t> peak_activation_bytes(TileShape shape) const override;
  [[nodiscard]] Result<std::vector<sharding::MemoryStep>> memory_steps(Executor executor, TileShape shape) const override;
  [[nodiscard]] std::uint64_t weights_bytes() const override;
  [[nodiscard]] int threads() const override { return threads_; }

 private:
  Status load_graph(const NetworkSource::Graph& graph);
  [[nodiscard]] Result<GraphRunner*> find_runner(TileShape shape) const;
  [[nodiscard]] std::shared_ptr<CompiledArtifact> find_artifact(TileShape shape) const;
  Status check_buffers(std::size_t in, TileShape shape, std::size_t out) const;
  Result<at::Tensor> call(Executor executor, at::Tensor input, TileShape shape);
  void use_threads() const;

  Geometry geometry_;
  c10::Device device_{c10::DeviceType::CPU};
  std::string device_name_;
  sharding::GraphDtype dtype_ = sharding::GraphDtype::kFloat32;
  int threads_ = 1;
  std::vector<at::Tensor> weights_;
  std::vector<LoadedGraph> graphs_;
  mutable std::mutex artifacts_mutex_;  // guards artifacts_: bind_artifact comes from another thread
  std::map<TileShape, std::shared_ptr<CompiledArtifact>> artifacts_;
};

Status LoadedNetwork::load(const NetworkSource& source) {
  const sharding::PackageManifest& manifest = *source.manifest;
  if (source.graphs.empty()) return fail(input_refused("no graph to load"));
  KILN_TRY_ASSIGN(device_, open_device(source.device));
  device_name_ = device_.str();
  dtype_ = source.dtype;
  threads_ = source.threads;
  use_threads();
  KILN_TRY_ASSIGN(weights_, load_weights(manifest, source.graphs.front().description.component,
                                         source.weights, source.dtype, source.device, source.delivery));
  KILN_TRY_ASSIGN(const auto type, sharding::element_type_from_string(to_string(source.dtype)));
  geometry_ = {manifest.channels, manifest.scale, manifest.frames(), to_torch(type)};
  for (const NetworkSource::Graph& graph : source.graphs) {
    if (auto status = load_graph(graph); !status) {
      return fail(status.error().with_context(graph.description.file));
    }
  }
  return {};
}

Status LoadedNetwork::load_graph(const NetworkSource::Graph& graph) {
  KILN_TRY_ASSIGN(const std::string_view json, sharding::read_pt2_graph(graph.pt2));
  KILN_TRY_ASSIGN(sharding::ExportedGraph parsed,
                  sharding::parse_exported_graph(json, graph.description.component));
  KILN_TRY(check_signature(parsed, geometry_, weights_));
  // Another lane has another number of threads, and must give the same bits.
  if (sharding::find_shared_sum(parsed) != nullptr) threads_ = 1;
  KILN_TRY_ASSIGN(auto runner, GraphRunner::create(std::move(parsed), device_.str()));
  graphs_.push_back({graph.description, std::move(runner)});
  return {};
}

// OpenMP keeps the number for each calling thread.
void LoadedNetwork::use_threads() const {
  thread_local int used = 0;
  if (used == threads_) return;
  at::set_num_threads(threads_);
  used = threads_;
}

Result<GraphRunner*> LoadedNetwork::find_runner(TileShape shape) const {
  const LoadedGraph* best = nullptr;
  for (const LoadedGraph& graph : graphs_) {
    if (!graph.description.takes(shape.height, shape.width)) continue;
    if (best == nullptr || (best->description.dynamic && !graph.description.dynamic)) best = &graph;
  }
  if (best != nullptr && shape.frames == geometry_.frames) return best->runner.get();
  return fail(input_refused("no graph of the package takes {} frames of {}x{}", shape.frames, shape.width,
                            shape.height));
}

std::shared_ptr<CompiledArtifact> LoadedNetwork::find_artifact(TileShape shape) const {
  const std::scoped_lock lock(artifacts_mutex_);
  const auto found = artifacts_.find(shape);
  return found == artifacts_.end() ? nullptr : found->second;
}

Status LoadedNetwork::check_buffers(std::size_t in, TileShape shape, std::size_t out) const {
  const auto pixels = static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width) *
                      static_cast<std::size_t>(geometry_.channels);
  const auto scale = static_cast<std::size_t>(geometry_.scale);
  if (in == pixels * static_cast<std::size_t>(shape.frames) && out == pixels * scale * scale) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, "buffers of {} and {} floats do not fit {}x{} x{}", in,
                         out, shape.width, shape.height, scale));
}

Result<at::Tensor> LoadedNetwork::call(Executor executor, at::Tensor input, TileShape shape) {
  std::vector<at::Tensor> outputs;
  if (executor == Executor::kCompiled) {
    const auto artifact = find_artifact(shape);
    if (artifact == nullptr) {
      return fail(make_error(ErrorCode::kFailedPrecondition, "no artifact for {}x{} is bound", shape.width,
                             shape.height));
    }
    std::vector<at::Tensor> inputs = {std::move(input)};
    inputs.insert(inputs.end(), weights_.begin(), weights_.end());
    KILN_TRY_ASSIGN(outputs, artifact->run(inputs));
  } else {
    KILN_TRY_ASSIGN(GraphRunner* runner, find_runner(shape));
    KILN_TRY_ASSIGN(outputs, runner->run({std::move(input)}, weights_));
  }
  const std::vector<std::int64_t> expected = {1, geometry_.channels, shape.height * geometry_.scale,
                                              shape.width * geometry_.scale};
  if (outputs.size() == 1 && outputs[0].sizes() == c10::IntArrayRef(expected)) return outputs[0];
  return fail(input_refused("the network's result is not {}", fmt::join(expected, "x")));
}

Status LoadedNetwork::run(Executor executor, std::span<const float> frames_hwc, TileShape shape,
                          std::span<float> out_hwc) {
  KILN_TRY(find_runner(shape));  // before any arithmetic with the shape: it bounds both sides
  KILN_TRY(check_buffers(frames_hwc.size(), shape, out_hwc.size()));
  use_threads();
  try {
    const c10::InferenceMode inference;
    at::Tensor input = make_input(geometry_, frames_hwc, shape, device_);
    KILN_TRY_ASSIGN(const at::Tensor output, call(executor, std::move(input), shape));
    copy_output(output, geometry_.channels, out_hwc);
    return {};
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("running the network"));
  }
}

Status LoadedNetwork::run_on_device(Executor executor, const at::Tensor& frames, TileShape shape, at::Tensor& out) {
  KILN_TRY(find_runner(shape));
  if (frames.sizes() != c10::IntArrayRef(input_sizes(geometry_, shape)) || frames.scalar_type() != geometry_.dtype ||
      frames.device() != device_) {
    return fail(make_error(ErrorCode::kInvalidArgument, "frames of another size, dtype or device than {}x{} on {}", shape.width,
                           shape.height, device_name_));
  }
  try {
    const c10::InferenceMode inference;
    KILN_TRY_ASSIGN(out, call(executor, frames, shape));
    return {};
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("running the network"));
  }
}

Status LoadedNetwork::bind_artifact(const ArtifactSpec& spec, int sealed_fd) {
  KILN_TRY_ASSIGN(const auto ours, input_specs(spec.shape));
  if (ours.size() != spec.inputs.size()) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kInputRefused,
                           "artifact: it takes {} inputs, this package has {}", spec.inputs.size(), ours.size()));
  }
  for (std::size_t i = 0; i < ours.size(); ++i) {
    // As address the least that is promised of every tensor: who was compiled for more is refused here.
    const cache::TensorView view{ours[i].dtype, device_.is_cpu() ? "cpu" : "cuda", ours[i].sizes, ours[i].strides,
                                 sharding::kTensorAlignmentBytes};
    if (const Status fits = cache::check_tensor(spec.inputs[i], view); !fits) {
      return fail(fits.error().with_context(fmt::format("artifact: input {}", i)));
    }
  }
  KILN_TRY_ASSIGN(const ArtifactHost host, this_host());
  KILN_TRY_ASSIGN(std::shared_ptr<CompiledArtifact> artifact, CompiledArtifact::open(spec, sealed_fd, host));
  const std::scoped_lock lock(artifacts_mutex_);
  artifacts_[spec.shape] = std::move(artifact);
  return {};
}

Result<std::vector<TensorSpec>> LoadedNetwork::input_specs(TileShape shape) const {
  KILN_TRY(find_runner(shape));
  std::vector<TensorSpec> specs;
  specs.push_back({std::string(sharding::to_string(from_torch(geometry_.dtype))),
                   input_sizes(geometry_, shape), input_strides(geometry_, shape)});
  for (const at::Tensor& weight : weights_) specs.push_back(spec_of(weight));
  return specs;
}

Result<std::uint64_t> LoadedNetwork::peak_activation_bytes(TileShape shape) const {
  KILN_TRY_ASSIGN(const GraphRunner* runner, find_runner(shape));
  KILN_TRY_ASSIGN(const auto symbols,
                  sharding::bind_symbols(runner->graph(), {input_sizes(geometry_, shape)}));
  KILN_TRY_ASSIGN(const auto peak, sharding::peak_activation_bytes(runner->graph(), symbols, 1));
  return peak.peak_bytes;
}

Result<std::vector<sharding::MemoryStep>> LoadedNetwork::memory_steps(Executor executor, TileShape shape) const {
  KILN_TRY_ASSIGN(const GraphRunner* runner, find_runner(shape));
  KILN_TRY_ASSIGN(const auto symbols, sharding::bind_symbols(runner->graph(), {input_sizes(geometry_, shape)}));
  KILN_TRY_ASSIGN(auto steps, sharding::memory_steps(runner->graph(), symbols));
  const auto artifact = executor == Executor::kCompiled ? find_artifact(shape) : nullptr;
  return artifact == nullptr ? std::move(steps) : sharding::steps_of_peak(artifact->spec().run_peak_bytes, steps);
}

std::uint64_t LoadedNetwork::weights_bytes() const {
  std::uint64_t bytes = 0;
  for (const at::Tensor& weight : weights_) bytes += weight.nbytes();
  return bytes;
}

}  // namespace

Result<std::unique_ptr<Network>> Network::load(const NetworkSource& source) {
  auto network = std::make_unique<LoadedNetwork>();
  KILN_TRY(network->load(source));
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace kiln::lane
