#include "sharding/segment_cut.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kiln::sharding {
namespace {

// Of what is left, all lanes together take this part before lengths are looked at again: towards the end they get shorter, so
// that all end together. One alone has nobody to wait for, and every segment costs it a start of decoder and encoder.
constexpr double kPartOfRest = 0.5;
constexpr double kPartOfRestAlone = 1.0;
// What is left behind a whole segment, if it is less than this part of one, goes with it.
constexpr double kRestOfTarget = 0.25;

std::int64_t to_frames(double frames, std::int64_t most) {
  return static_cast<std::int64_t>(std::clamp(frames, 1.0, static_cast<double>(most)));
}

SegmentCut wished(const SegmentCutRequest& request) {
  if (request.fixed_frames > 0) return {request.fixed_frames, "the job asks for this length"};
  const double left = static_cast<double>(request.frames_left);
  const std::int64_t lanes = std::max<std::int64_t>(request.lane_count, 1);
  if (request.lane_frames_per_second <= 0.0) {
    const std::int64_t share = to_frames(left * kPartOfRest / static_cast<double>(lanes), request.frames_max);
    return {std::min(request.frames_first, share), "the lane's speed is not known yet"};
  }
  const double target = request.lane_frames_per_second * static_cast<double>(request.target_ms) / 1000.0;
  const double all = std::max(request.total_frames_per_second, request.lane_frames_per_second);
  const bool alone = request.lane_count <= 1;
  const double share = left * (alone ? kPartOfRestAlone : kPartOfRest) * request.lane_frames_per_second / all;
  if (share < target || (alone && share < target * (1.0 + kRestOfTarget))) {
    return {to_frames(std::round(share), request.frames_max),
            fmt::format("{} frames are left for {} lanes", request.frames_left, lanes)};
  }
  return {to_frames(std::round(target), request.frames_max),
          fmt::format("{:.1f} s at {:.2f} frames a second", static_cast<double>(request.target_ms) / 1000.0,
                      request.lane_frames_per_second)};
}

}  // namespace

SegmentCut cut_segment(const SegmentCutRequest& request) {
  SegmentCut cut = wished(request);
  if (request.fixed_frames == 0) {
    cut.frames = std::clamp(cut.frames, std::min(request.frames_min, request.frames_max), request.frames_max);
    const std::int64_t behind = request.frames_left - cut.frames;
    if (behind > 0 && behind < request.frames_min) cut.frames = request.frames_left;
  }
  cut.frames = std::clamp<std::int64_t>(cut.frames, 1, std::max<std::int64_t>(request.frames_left, 1));
  return cut;
}

}  // namespace kiln::sharding
