// How long the next segment of a clip is, when a lane is free for it. Pure.
//
// A segment is meant to take `target_ms` on its lane, so that a slow lane gets fewer frames than a fast one and all
// come back about as often. Towards the end pieces shrink: no lane takes more than its share of half of what is left
// (guided self-scheduling), so that all lanes end within one short segment of each other.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::sharding {

struct SegmentCutRequest {
  std::int64_t frames_left = 0;        // that belong to no segment yet
  double lane_frames_per_second = 0.0;   // of whole segments; 0: not known yet
  double total_frames_per_second = 0.0;  // of all lanes that work on this clip, this one included; 0: not known
  std::int64_t lane_count = 1;           // that work on this clip
  std::int64_t fixed_frames = 0;         // the job's own wish; 0: none
  std::int64_t target_ms = 10'000;
  std::int64_t frames_min = 8;
  std::int64_t frames_max = 1'000;
  std::int64_t frames_first = 16;        // while the lane's speed is not known
};

struct SegmentCut {
  std::int64_t frames = 0;
  std::string reason;
};

// 1 ≤ frames ≤ frames_left. What would be left behind as less than frames_min is taken along.
[[nodiscard]] SegmentCut cut_segment(const SegmentCutRequest& request);

}  // namespace kiln::sharding
