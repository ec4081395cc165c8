#include "sharding/segment_planner.h"

#include <algorithm>

namespace kiln::sharding {
namespace {

// About 5 s of film: taken while nobody knows how fast the lanes are.
constexpr std::int64_t kSegmentFramesUnmeasured = 120;
// Keeps every sum below far from overflow; more than 300 years of film.
constexpr std::int64_t kFrameCountMax = 1'000'000'000'000;

std::int64_t divided_up(std::int64_t value, std::int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

Status check(const SegmentRequest& request) {
  if (request.frame_count <= 0) {
    return fail(input_refused("the clip has no frames: nothing to cut into segments"));
  }
  if (request.frame_count > kFrameCountMax) {
    return fail(input_refused(
        "the clip claims {} frames, more than the {} that are handled: is its header damaged?",
        request.frame_count, kFrameCountMax));
  }
  if (request.segment_frames < 0 || request.lane_count <= 0 || request.frame_us < 0 ||
      request.target_ms <= 0 || request.frames_before < 0 || request.frames_after < 0) {
    return fail(make_error(
        ErrorCode::kInvalidArgument,
        "segment plan: lengths and times must not be negative, lanes and target at least 1"));
  }
  const std::int64_t needed = divided_up(request.frame_count, kSegmentsMax);
  if (request.segment_frames > 0 && request.segment_frames < needed) {
    return fail(make_error(
        ErrorCode::kInvalidArgument, ExitCode::kUsage,
        "segments of {} frames would cut this clip of {} frames into more than {} pieces: use "
        "--segment-frames {} or more",
        request.segment_frames, request.frame_count, kSegmentsMax, needed));
  }
  return {};
}

struct Length {
  std::int64_t frames = 0;
  std::string reason;
};

Length chosen_length(const SegmentRequest& request) {
  Length length;
  if (request.frame_us > 0) {
    length.frames = std::clamp(request.target_ms * 1000 / request.frame_us, kSegmentFramesMin,
                               kSegmentFramesMax);
    length.reason =
        fmt::format("about {} ms of work at {} us a frame", request.target_ms, request.frame_us);
  } else {
    length.frames = kSegmentFramesUnmeasured;
    length.reason = "speed not measured yet";
  }
  // One lane has nobody to wait for.
  if (request.lane_count > 1) {
    const std::int64_t share = std::max(
        divided_up(request.frame_count, request.lane_count * kSegmentsPerLane), kSegmentFramesMin);
    if (share < length.frames) {
      length.frames = share;
      length.reason =
          fmt::format("{} segments for each of {} lanes", kSegmentsPerLane, request.lane_count);
    }
  }
  length.frames = std::max(length.frames, divided_up(request.frame_count, kSegmentsMax));
  // Equal segments instead of full ones and a stub.
  const std::int64_t count = divided_up(request.frame_count, length.frames);
  length.frames = divided_up(request.frame_count, count);
  return length;
}

Segment segment_at(const SegmentRequest& request, std::int64_t first, std::int64_t length,
                   std::uint32_t id) {
  Segment segment;
  segment.id = SegmentId{id};
  segment.first = first;
  segment.last = std::min(first + length, request.frame_count);
  segment.read_first = std::max<std::int64_t>(segment.first - request.frames_before, 0);
  segment.read_last = std::min(segment.last + request.frames_after, request.frame_count);
  segment.repeat_before = request.frames_before - (segment.first - segment.read_first);
  segment.repeat_after = request.frames_after - (segment.read_last - segment.last);
  return segment;
}

}  // namespace

std::int64_t clamped_frame(std::int64_t frame, std::int64_t frame_count) {
  return std::clamp<std::int64_t>(frame, 0, frame_count - 1);
}

Result<SegmentPlan> plan_segments(const SegmentRequest& request) {
  KILN_TRY(check(request));
  SegmentPlan plan;
  if (request.segment_frames > 0) {
    plan.segment_frames = std::min(request.segment_frames, request.frame_count);
    plan.reason = fmt::format("{} frames a segment, as asked", request.segment_frames);
  } else {
    Length length = chosen_length(request);
    plan.segment_frames = length.frames;
    plan.reason = fmt::format("{} frames a segment: {}", length.frames, length.reason);
  }
  const std::int64_t count = divided_up(request.frame_count, plan.segment_frames);
  plan.segments.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    plan.segments.push_back(segment_at(request, i * plan.segment_frames, plan.segment_frames,
                                       static_cast<std::uint32_t>(i)));
  }
  return plan;
}

}  // namespace kiln::sharding
