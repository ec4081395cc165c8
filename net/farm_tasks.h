// What tasks are told and what they give. Plain data; net/kiln.proto says how it is written.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "net/card_memory.h"
#include "net/farm_values.h"

namespace kiln::net {

// ---- what they are told ----
struct ProbeSpec {
  ClipSource source;
  OutputSettings output;
  std::vector<std::uint64_t> budgets_bytes;  // tiles are planned for each of these, of lanes on processors …
  std::vector<std::string> dtypes{};         // and in each of these; none: float32
  std::vector<std::uint64_t> card_budgets_bytes{};  // … and of lanes on cards
  bool operator==(const ProbeSpec&) const = default;
};
struct CompileSpec {
  std::string key;  // hex; what the worker computes must be equal
  std::uint32_t graph = 0;
  int height = 0;
  int width = 0;
  std::string dtype = "float32";  // of the graph
  CompileSettings settings{};     // those that shape code
  std::uint64_t activation_bytes = 0;  // of one run, at the peak; 0: not known
  bool operator==(const CompileSpec&) const = default;
};
struct SegmentSpec {
  ClipSource source;
  OutputSettings output;
  BlobRef description;
  std::int64_t first = 0;
  std::int64_t last = 0;
  int tile_height = 0;
  int tile_width = 0;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::string output_pixel_format;
  std::string executor;
  std::string artifact_key;      // empty: none is to be had
  bool artifact_ready = false;   // it is in the store
  int encoder_threads = 0;       // the same for the whole clip; 0: as the lane likes
  std::string dtype = "float32";  // of the graph that is run
  std::uint64_t activation_bytes = 0;  // of its tiles, at the peak; 0: not known
  std::uint64_t card_bytes = 0;        // on a card, with weights and buffers; 0: not known
  bool operator==(const SegmentSpec&) const = default;
};
struct JoinSegment {
  BlobRef blob;
  std::int64_t frames = 0;
  bool operator==(const JoinSegment&) const = default;
};
struct JoinSpec {
  ClipSource source;
  OutputSettings output;
  BlobRef description;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::string output_pixel_format;
  std::vector<JoinSegment> segments;
  int encoder_threads = 0;  // as the segments were encoded; 0: as the lane likes
  bool operator==(const JoinSpec&) const = default;
};
struct NoopSpec {
  bool operator==(const NoopSpec&) const = default;
};
using TaskSpec = std::variant<ProbeSpec, CompileSpec, SegmentSpec, JoinSpec, NoopSpec>;

// One way of tiling the clip, found by the lane that probed it: the cheapest that a budget holds.
struct TileChoice {
  std::uint64_t budget_bytes = 0;      // what it was asked for
  std::uint32_t graph = 0;             // into the manifest's graphs
  std::string graph_sha256;            // of the exported program's JSON, which the artifact's key holds
  int height = 0;
  int width = 0;
  std::uint64_t activation_bytes = 0;  // at the peak, by the liveness walk
  std::int64_t computed_pixels = 0;    // of all tiles of one frame, halos included
  std::string dtype = "float32";       // of the graph
  std::uint64_t card_bytes = 0;        // on a card, with weights and buffers; 0: nobody asked for cards
  bool operator==(const TileChoice&) const = default;
};

// ---- what tasks give ----
struct ProbeResult {
  std::int64_t frames = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
  double duration_s = 0.0;
  std::string pixel_format;         // of the source
  std::string output_pixel_format;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::string media_tools;          // identity of the ffmpeg build: pinned for an output
  BlobRef description;              // sealed clip description, in the store
  std::vector<TileChoice> tiles;    // one for each budget that was named; none where nothing fits
  std::string no_tiles_reason;      // why, where nothing fits
  std::vector<std::string> warnings;
  bool operator==(const ProbeResult&) const = default;
};
struct CompileResult {
  std::string key;  // hex
  bool from_store = false;
  double compile_s = 0.0;
  std::uint64_t compile_peak_bytes = 0;
  std::uint64_t run_peak_bytes = 0;
  double run_ms = 0.0;
  BlobRef library;
  bool operator==(const CompileResult&) const = default;
};
struct SegmentResult {
  std::int64_t first = 0;
  std::int64_t last = 0;  // one past
  std::int64_t frames_compiled = 0;
  double decode_s = 0.0;
  double model_s = 0.0;
  double encode_s = 0.0;
  double wall_s = 0.0;
  double wait_decode_s = 0.0;
  double wait_encode_s = 0.0;
  double transfer_s = 0.0;          // fetching and storing
  std::string frame_hashes;         // 16 bytes a frame
  std::string settings_digest;
  BlobRef segment;
  bool artifact_lost = false;       // it was said to be ready, and could not be had
  double decode_core_s = 0.0;       // of the host's cores; 0 in all three: not counted
  double model_core_s = 0.0;
  double encode_core_s = 0.0;
  double first_frame_s = 0.0;       // from the lane's start to the first frame that it gave to an encoder
  CardMemory card;
  bool operator==(const SegmentResult&) const = default;
};
struct JoinResult {
  std::int64_t frames = 0;
  BlobRef output;
  std::vector<std::string> warnings;
  bool operator==(const JoinResult&) const = default;
};
struct NoopResult {
  bool operator==(const NoopResult&) const = default;
};
using TaskResult = std::variant<ProbeResult, CompileResult, SegmentResult, JoinResult, NoopResult>;

// Classes of failure; each has its own counter and rule (sharding/failure_policy.h).
enum class FailureKind : std::uint8_t {
  kOutOfMemory,
  kCrash,
  kHang,
  kError,
  kLostLane,
  kBadInput,
  kArtifactMismatch,
  kStoreFull,
};

struct TaskFault {
  FailureKind kind = FailureKind::kError;
  std::string code;     // canonical error code
  std::string message;  // one line
  int exit = -1;        // ExitCode, -1: from the code
  std::vector<std::string> lost_blobs{};  // of a join: segments that the store has no more; they are rendered again
  bool operator==(const TaskFault&) const = default;
};

}  // namespace kiln::net
