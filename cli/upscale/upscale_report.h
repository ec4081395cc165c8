// What a finished `kiln run upscale` tells: a short table for people, or one JSON value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"

namespace kiln::cli {

struct LaneReport {
  std::int64_t segments = 0;
  std::int64_t frames = 0;
  double decode_s = 0.0;
  double model_s = 0.0;
  double encode_s = 0.0;
  double wait_decode_s = 0.0;
  double wait_encode_s = 0.0;
};

struct ClipReport {
  std::string source;
  std::string output;
  std::int64_t width = 0;  // of the output
  std::int64_t height = 0;
  std::int64_t frames = 0;
  std::int64_t frames_compiled = 0;
  std::int64_t segments = 0;
  std::int64_t segments_resumed = 0;
  std::int64_t tiles = 0;  // of a frame; 1: it is rendered whole
  std::int64_t tile_width = 0;
  std::int64_t tile_height = 0;
  double duration_s = 0.0;
  std::string artifact_key;
  std::vector<std::string> warnings;
  std::vector<std::string> frame_hashes;  // 32 hex digits each: XXH3-128 of the planes handed to the encoder
};

// Where the command's time went, by what the farm remembers: one after the other, but for what renders beside a join.
struct PhaseReport {
  double start_s = 0.0;   // until a lane was given the first segment of this run
  double render_s = 0.0;  // until the last segment was stored
  double join_s = 0.0;    // until the last join was stored
  double place_s = 0.0;   // until the last output had its name
};

struct UpscaleReport {
  std::vector<ClipReport> clips;
  std::map<LaneId, LaneReport> lanes;
  std::uint64_t compiles = 0;
  std::uint64_t compiles_running = 0;  // when the last clip was joined
  double compile_s = 0.0;              // of the artifacts that this command made
  std::uint64_t compile_failures = 0;
  std::uint64_t store_hits = 0;
  std::uint64_t results_dropped = 0;
  std::uint64_t lanes_lost = 0;
  double wall_s = 0.0;         // from the command's start to the last clip's place under its name
  double first_frame_s = 0.0;  // from the command's start to the first frame of this run
  int threads_per_lane = 0;
  PhaseReport phases;

  [[nodiscard]] std::int64_t frames() const;
  [[nodiscard]] std::int64_t frames_compiled() const;
};

struct SlowPart {
  std::string name;   // "decode", "model", "encode"
  std::string advice; // what would help
};
// Whichever stage the others waited for: the model unless it spent more of its time waiting than computing.
[[nodiscard]] SlowPart slow_part(const UpscaleReport& report);

[[nodiscard]] std::string report_table(const UpscaleReport& report);
[[nodiscard]] std::string report_json(const UpscaleReport& report);

}  // namespace kiln::cli
