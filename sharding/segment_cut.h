// How long the next segment of a clip is, when a lane is free for it. Pure.
//
// A segment is meant to take `target_ms` on its lane, so that a slow lane gets fewer frames than a fast one and all
// come back about as often. Towards the end pieces shrink: no lane takes more than half of its share of what is left (guided
// self-scheduling). A lane's last piece, where half of it would be shorter than is worth a start, is its whole share: what it
// renders until the moment at which all lanes are done, going by their speeds and what each still has. A lane alone ends with a
// short one, so that little is left to merge and store behind it.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::sharding {

struct SegmentCutRequest {
  std::int64_t frames_left = 0;        // that belong to no segment yet
  double lane_frames_per_second = 0.0;   // of whole segments; 0: not known yet
  double total_frames_per_second = 0.0;  // of all lanes that work on this clip, this one included; 0: not known
  std::int64_t lane_count = 1;           // that work on this clip
  std::int64_t lane_frames_due = 0;      // that this lane has still to render of what it was given
  std::int64_t total_frames_due = 0;     // that all those lanes have, this one included
  std::int64_t fixed_frames = 0;         // the job's own wish; 0: none
  std::int64_t target_ms = 10'000;
  std::int64_t frames_min = 8;           // half as many for a lane's last piece
  std::int64_t frames_max = 1'000;
  std::int64_t frames_first = 16;        // while the lane's speed is not known
};

struct SegmentCut {
  std::int64_t frames = 0;
  std::string reason;
};

// 1 ≤ frames ≤ frames_left. What would be left behind as too little for a piece is taken along.
[[nodiscard]] SegmentCut cut_segment(const SegmentCutRequest& request);

}  // namespace kiln::sharding
