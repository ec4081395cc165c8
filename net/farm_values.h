// Values that the farm's messages and the coordinator's journal share. Plain data; net/kiln.proto says how they are
// written, net/farm_codec.h turns one into the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "net/farm_limits.h"
#include "net/shot.h"

namespace kiln::net {

// Names. A job's is made by its client and never used again, so that a submission may be repeated safely.
using JobName = std::string;     // 1–64 of [a-z0-9-], not - first
using WorkerName = std::string;  // 1–64 of [A-Za-z0-9._-]; one host may run several

// Compile tasks run beside a worker's lanes. Where a lane would stand is a place that compiles on that lane's card; the place of lane 0
// is also that of a worker without cards.
inline constexpr LaneId kCompileLane{0xffff'ffff};
[[nodiscard]] constexpr LaneId compile_lane(LaneId lane) { return {kCompileLane.value - lane.value}; }
[[nodiscard]] constexpr bool is_compile_lane(LaneId id) { return kCompileLane.value - id.value < kLanesMax; }
[[nodiscard]] constexpr LaneId lane_of_compiler(LaneId place) { return {kCompileLane.value - place.value}; }

// Bytes in the store.
struct BlobRef {
  std::string sha256;  // 64 hex digits
  std::uint64_t bytes = 0;
  bool operator==(const BlobRef&) const = default;
};

// One file of a package, as its manifest names it ("manifest.toml", "graphs/…", "weights/…").
struct PackageFile {
  std::string path;
  BlobRef blob;
  std::string place{};  // absolute: every worker sees it there, and the store need not have it; empty: it is in the store
  bool operator==(const PackageFile&) const = default;
};
struct PackageRef {
  std::vector<PackageFile> files;  // manifest.toml first, then every file that it names
  bool operator==(const PackageRef&) const = default;
};

// Where a clip comes from: a blob, a path that every worker sees (`in_place`), or words (`shot`).
struct ClipSource {
  bool in_place = false;
  std::string path;  // in place: absolute; else the file's name, for messages and the container's kind
  BlobRef blob;
  Shot shot{};
  [[nodiscard]] bool is_shot() const { return shot.frames > 0; }
  bool operator==(const ClipSource&) const = default;
};

// What the output is to be; the same words as in job files and on the command line.
struct OutputSettings {
  std::string file_name;  // decides the container
  std::string codec;
  int quality = -1;
  std::string preset;
  std::string pixel_format;
  std::string scale;
  std::string frame_rate;
  bool deinterlace = false;
  std::string encoder{};  // software, hardware, auto, or in tasks one of cards; empty: software
  bool operator==(const OutputSettings&) const = default;
};

// How artifacts are made: torch.compile's own words. sharding/compile_settings.h says what each means here.
struct CompileSettings {
  std::string backend = "inductor";
  std::string mode = "default";
  bool dynamic = false;
  bool compile_transformer_blocks_only = true;
  bool fullgraph = false;
  std::uint32_t dynamo_cache_size_limit = 64;
  std::uint32_t dynamo_recompile_limit = 128;
  bool force_parameter_static_shapes = false;
  bool allow_unmerged_lora_compile = false;
  bool operator==(const CompileSettings&) const = default;
};

// ---- what lanes can do ----
// Two lanes with equal fields here make the same bits of an artifact and may share one clip.
struct LaneClass {
  std::string arch = "cpu";   // "cpu", "sm_90"
  std::string isa;            // of the host code: "avx2", "avx512"
  std::string device_name;    // of a card; empty for CPU lanes
  int threads = 0;            // of a CPU lane; 0 for cards
  std::string toolchain;      // digest of the toolchain that compiles for it; empty: none there
  auto operator<=>(const LaneClass&) const = default;
};
// How fast a card is. 0: not measured, or it cannot do that.
struct CardSpeed {
  double float32_tflops = 0.0;  // of matrix products: as torch does them …
  double tf32_tflops = 0.0;     // … and as its convolutions do
  double float16_tflops = 0.0;
  double bfloat16_tflops = 0.0;
  double fp8_tflops = 0.0;
  double memory_bytes_per_s = 0.0;     // of its own memory, read and written
  double to_device_bytes_per_s = 0.0;  // from pinned memory of the host
  double to_host_bytes_per_s = 0.0;
  bool operator==(const CardSpeed&) const = default;
};
// What is known of the card of a lane. For people and for planning; no part of the class.
struct CardFacts {
  std::uint32_t index = 0;  // in PCI bus order
  std::string uuid;         // empty: the lane has no card
  std::string pci;          // "0000:0f:00.0"
  std::string driver;       // "580.95.05"
  std::string cuda;         // the newest that it can run: "13.0"
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;  // when the worker started
  std::uint64_t reserved_bytes = 0;
  bool fp8 = false;
  std::uint32_t link_generation = 0;  // of PCIe; 0: not known
  std::uint32_t link_width = 0;
  std::int32_t numa_node = -1;  // -1: not known
  CardSpeed speed{};
  std::uint64_t context_bytes = 0;  // that a lane takes before it does anything; 0: not measured
  std::vector<std::string> encoders{};  // found by trying them: "hevc_nvenc p010le"
  bool operator==(const CardFacts&) const = default;
};
struct LaneOffer {
  LaneId lane;
  LaneClass kind;
  // On a card for all but the process itself, else for activations: memory or cap, less what else lives there.
  std::uint64_t budget_bytes = 0;
  int encoder_threads = 1;
  CardFacts card;  // of a lane on a card
  bool generates = false;  // it renders shots
  bool operator==(const LaneOffer&) const = default;
};

}  // namespace kiln::net
