// What a worker and its lane say to each other, as plain values; net/lane.proto says what each field means.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace kiln::net {

inline constexpr std::uint32_t kLaneProtocol = 1;

struct TensorSpec {
  std::string dtype;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
};

struct Fault {
  Error error;
  std::string failure = "error";
};

// ---- worker to lane ----
struct SetUp {
  LaneId lane;
  int threads = 1;
  std::string device = "cpu";
  std::string ffmpeg;
  int encoder_threads = 1;
  std::string trusted_keys;
};
struct LoadPackage {  // descriptors: each graph's .pt2, then the weights
  std::string manifest;
  std::string dtype;
  std::vector<std::uint32_t> graphs;
  std::int64_t tile_frames = 0;
  std::int64_t tile_height = 0;
  std::int64_t tile_width = 0;
};
struct DefineClip {  // descriptor: the sealed clip description
  ClipId clip;
};
struct OfferArtifact {  // descriptor: the sealed library
  std::string key;
  std::string envelope;
};
struct ProbeTask {
  TaskId task;
  std::string source;
  std::string output;
  std::string codec;
  std::string scale;
  std::int64_t network_scale = 1;
  bool deinterlace = false;
  std::string frame_rate;
  std::string pixel_format;
};
struct SegmentTask {
  TaskId task;
  Attempt attempt;
  ClipId clip;
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::string path;
  std::int64_t tile_height = 0;
  std::int64_t tile_width = 0;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::string codec;
  int quality = -1;
  std::string preset;
  std::string pixel_format;
  std::string executor;
  std::string output;
};
struct JoinTask {
  TaskId task;
  ClipId clip;
  std::vector<std::string> segments;
  std::string path;
  std::string codec;
  std::string output;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::vector<std::int64_t> frame_counts;
  int quality = -1;
  std::string preset;
  std::string pixel_format;
};
struct Cancel {
  TaskId task;
};
struct Shutdown {};

using ToLane = std::variant<SetUp, LoadPackage, DefineClip, OfferArtifact, ProbeTask, SegmentTask, JoinTask,
                            Cancel, Shutdown>;

// ---- lane to worker ----
struct Hello {
  std::uint32_t protocol = kLaneProtocol;
  std::int32_t pid = 0;
  std::string isa;
  std::string torch;
};
struct PackageLoaded {
  std::vector<TensorSpec> inputs;
  std::uint64_t peak_activation_bytes = 0;
  std::uint64_t weights_bytes = 0;
};
struct ArtifactBound {
  std::string key;
};
struct ArtifactRefused {
  std::string key;
  Fault fault;
};
struct ProbeDone {
  TaskId task;
  std::string clip;
  std::int64_t frames = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
  double frames_per_second = 0.0;
  double duration_s = 0.0;
  std::string pixel_format;
  std::string output_pixel_format;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::vector<std::string> warnings;
  std::string ffmpeg_version;
};
struct Progress {
  TaskId task;
  Attempt attempt;
  std::int64_t frames_done = 0;
  std::int64_t frames_compiled = 0;
  std::uint64_t resident_bytes = 0;
};
struct SegmentDone {
  TaskId task;
  Attempt attempt;
  std::int64_t frames = 0;
  std::int64_t frames_compiled = 0;
  double decode_s = 0.0;
  double model_s = 0.0;
  double encode_s = 0.0;
  double wall_s = 0.0;
  double wait_decode_s = 0.0;
  double wait_encode_s = 0.0;
  std::string frame_hashes;
  std::uint64_t bytes_written = 0;
  std::string settings_digest;
};
struct JoinDone {
  TaskId task;
  std::int64_t frames = 0;
  std::vector<std::string> warnings;
};
struct TaskFailed {
  TaskId task;
  Attempt attempt;
  Fault fault;
};
struct Failed {
  Fault fault;
};

using FromLane = std::variant<Hello, PackageLoaded, ArtifactBound, ArtifactRefused, ProbeDone, Progress,
                              SegmentDone, JoinDone, TaskFailed, Failed>;

}  // namespace kiln::net
