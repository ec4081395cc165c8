// Cuts a clip into segments. Pure: the same request gives the same plan on every host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace kiln::sharding {

// A journal and a report that list segments stay readable and small below this.
inline constexpr std::int64_t kSegmentsMax = 100'000;
// Shorter segments pay more for decoding and start-up than for the model …
inline constexpr std::int64_t kSegmentFramesMin = 8;
// … longer ones lose too much when a lane dies.
inline constexpr std::int64_t kSegmentFramesMax = 1'000;
// With fewer segments than this for each lane, the last one leaves the others waiting.
inline constexpr std::int64_t kSegmentsPerLane = 4;
// What a segment should take when the caller names no length.
inline constexpr std::int64_t kSegmentTargetMs = 10'000;

struct SegmentRequest {
  std::int64_t frame_count = 0;     // of the clip
  std::int64_t segment_frames = 0;  // frames a segment; 0: chosen from the fields below
  std::int64_t lane_count = 1;
  std::int64_t frame_us = 0;  // expected time of one frame on one lane; 0: not known
  std::int64_t target_ms = kSegmentTargetMs;
  std::int64_t frames_before = 0;  // neighbours that the model looks at
  std::int64_t frames_after = 0;
};

// Frames [first, last) are rendered. Frames [read_first, read_last) are decoded for that: the
// neighbours as well, as far as the clip reaches. Where it does not reach, its first or last frame
// stands in (repeat_before, repeat_after times), as it does when the clip is rendered in one piece.
struct Segment {
  SegmentId id;  // 0, 1, 2 … in the order of the clip
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t read_first = 0;
  std::int64_t read_last = 0;
  std::int64_t repeat_before = 0;
  std::int64_t repeat_after = 0;

  [[nodiscard]] std::int64_t frame_count() const { return last - first; }
  [[nodiscard]] std::int64_t read_count() const { return read_last - read_first; }
  bool operator==(const Segment&) const = default;
};

struct SegmentPlan {
  std::vector<Segment> segments;    // the last one may be shorter
  std::int64_t segment_frames = 0;  // of all others
  std::string reason;
};

// Refuses an empty clip, negative numbers, and a length that makes more than kSegmentsMax segments.
[[nodiscard]] Result<SegmentPlan> plan_segments(const SegmentRequest& request);

// The frame that is read for position `frame` of the clip: clamped into [0, frame_count).
[[nodiscard]] std::int64_t clamped_frame(std::int64_t frame, std::int64_t frame_count);

}  // namespace kiln::sharding
