#include "sharding/segment_cut.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kiln::sharding {
namespace {

// Of what is left, all lanes together take this part before lengths are looked at again: towards the end they get shorter, so
// that all end together.
constexpr double kPartOfRest = 0.5;
// What is left behind a whole segment, if it is less than this part of one, goes with it.
constexpr double kRestOfTarget = 0.25;
// Shorter pieces than this part of the target are not worth a start, unless they are a lane's last.
constexpr double kPieceOfTarget = 0.1;

std::int64_t to_frames(double frames, std::int64_t most) {
  return static_cast<std::int64_t>(std::clamp(std::round(frames), 1.0, static_cast<double>(std::max<std::int64_t>(most, 1))));
}

std::int64_t least_frames(const SegmentCutRequest& request) { return std::min(request.frames_min, request.frames_max); }

SegmentCut at_unknown_speed(const SegmentCutRequest& request, std::int64_t lanes) {
  const double share = static_cast<double>(request.frames_left) * kPartOfRest / static_cast<double>(lanes);
  const std::int64_t frames = std::min(request.frames_first, to_frames(std::floor(share), request.frames_max));
  return {std::max(frames, least_frames(request)), "the lane's speed is not known yet"};
}

// One alone has nobody to wait for. But while its last piece is rendered, the one before is merged and stored: a short one.
double alone(double share, double piece, bool last) { return last && share >= 2.0 * piece ? share - piece : share; }

SegmentCut at_speed(const SegmentCutRequest& request, std::int64_t lanes) {
  const double speed = request.lane_frames_per_second;
  const double target = speed * static_cast<double>(request.target_ms) / 1000.0;
  const double due = static_cast<double>(request.frames_left + request.total_frames_due);
  const double part = speed / std::max(request.total_frames_per_second, speed);
  const double share = std::min(due * part - static_cast<double>(request.lane_frames_due), static_cast<double>(request.frames_left));
  const double piece = std::max(static_cast<double>(least_frames(request)), target * kPieceOfTarget);
  const bool last = lanes == 1 ? share < target * (1.0 + kRestOfTarget) : share * kPartOfRest < piece;
  const double shared = last ? share : share * kPartOfRest;
  const double wanted = lanes == 1 ? alone(share, piece, last) : shared;
  if (!last && wanted >= target) {
    return {to_frames(target, request.frames_max),
            fmt::format("{:.1f} s at {:.2f} frames a second", static_cast<double>(request.target_ms) / 1000.0, speed)};
  }
  const std::int64_t least = last ? (least_frames(request) + 1) / 2 : least_frames(request);
  return {std::max(to_frames(wanted, request.frames_max), least),
          fmt::format("{} frames are left for {} lanes", request.frames_left, lanes)};
}

}  // namespace

SegmentCut cut_segment(const SegmentCutRequest& request) {
  const std::int64_t lanes = std::max<std::int64_t>(request.lane_count, 1);
  SegmentCut cut;
  if (request.fixed_frames > 0) {
    cut = {request.fixed_frames, "the job asks for this length"};
  } else {
    cut = request.lane_frames_per_second > 0.0 ? at_speed(request, lanes) : at_unknown_speed(request, lanes);
    const std::int64_t behind = request.frames_left - cut.frames;
    if (behind > 0 && behind < (least_frames(request) + 1) / 2) cut.frames = request.frames_left;
  }
  cut.frames = std::clamp<std::int64_t>(cut.frames, 1, std::max<std::int64_t>(request.frames_left, 1));
  return cut;
}

}  // namespace kiln::sharding
