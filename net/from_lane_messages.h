// What a lane says to its worker; net/lane.proto says what each field means.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "net/card_memory.h"
#include "net/shot.h"

namespace kiln::net {

inline constexpr std::uint32_t kLaneProtocol = 4;

struct TensorSpec {
  std::string dtype;
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
};

struct Fault {
  Error error;
  std::string failure = "error";
};

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
  std::uint64_t weights_copied_bytes = 0;
  std::uint64_t weights_received_bytes = 0;
  double weights_s = 0.0;
};
struct ShareOpened {
  std::uint64_t epoch = 0;
  std::string id;
};
struct ShareEnded {
  std::uint64_t epoch = 0;
  std::string why;  // empty: it has all
};
struct ArtifactBound {
  std::string key;
};
struct ArtifactRefused {
  std::string key;
  Fault fault;
};
struct KernelsWanted {
  std::string arch;
  std::string source;
  std::vector<std::string> options;
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
  std::uint64_t planes_bytes = 0;  // of one frame, as it is decoded …
  std::uint64_t output_planes_bytes = 0;  // … and as it is encoded
};
struct Progress {
  TaskId task;
  Attempt attempt;
  std::int64_t frames_done = 0;
  std::int64_t frames_compiled = 0;
  std::uint64_t resident_bytes = 0;
  StageProgress stage{};  // of a shot
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
  double decode_core_s = 0.0;
  double model_core_s = 0.0;
  double encode_core_s = 0.0;
  std::string frame_hashes;
  std::uint64_t bytes_written = 0;
  std::string settings_digest;
  double first_frame_s = 0.0;
  CardMemory card;
};
struct JoinDone {
  TaskId task;
  std::int64_t frames = 0;
  std::vector<std::string> warnings;
  std::string sha256{};  // hex, of the file that was written; empty: of several files
};
struct LaneTaskFailed {
  TaskId task;
  Attempt attempt;
  Fault fault;
};
struct Failed {
  Fault fault;
};

using FromLane = std::variant<Hello, PackageLoaded, ArtifactBound, ArtifactRefused, ProbeDone, Progress,
                              SegmentDone, JoinDone, LaneTaskFailed, Failed, KernelsWanted, ShareOpened, ShareEnded>;

}  // namespace kiln::net
