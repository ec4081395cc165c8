#include "sharding/segment_planner.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace kiln::sharding {
namespace {

SegmentRequest a_clip(std::int64_t frames) {
  SegmentRequest request;
  request.frame_count = frames;
  return request;
}

TEST(SegmentPlannerTest, CutsAsAskedWithAShortLastSegment) {
  SegmentRequest request = a_clip(20);
  request.segment_frames = 7;
  const auto plan = plan_segments(request);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->segments.size(), 3U);
  EXPECT_EQ(plan->segments[1].first, 7);
  EXPECT_EQ(plan->segments[1].last, 14);
  EXPECT_EQ(plan->segments[2].frame_count(), 6);
  EXPECT_EQ(plan->segment_frames, 7);
}

TEST(SegmentPlannerTest, RepeatsTheEdgeFrameWhereTheClipDoesNotReach) {
  SegmentRequest request = a_clip(6);
  request.segment_frames = 3;
  request.frames_before = 2;
  request.frames_after = 4;
  const auto plan = plan_segments(request);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->segments[0].read_first, 0);
  EXPECT_EQ(plan->segments[0].repeat_before, 2);
  EXPECT_EQ(plan->segments[0].read_last, 6);
  EXPECT_EQ(plan->segments[0].repeat_after, 1);
  EXPECT_EQ(plan->segments[1].read_first, 1);
  EXPECT_EQ(plan->segments[1].repeat_before, 0);
  EXPECT_EQ(plan->segments[1].repeat_after, 4);
}

TEST(SegmentPlannerTest, TakesTheMeasuredSpeed) {
  SegmentRequest request = a_clip(10'000);
  request.frame_us = 100'000;
  request.target_ms = 5'000;
  const auto plan = plan_segments(request);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->segment_frames, 50);
  EXPECT_NE(plan->reason.find("5000 ms"), std::string::npos) << plan->reason;
}

TEST(SegmentPlannerTest, LeavesNoLaneWaitingOnAShortClip) {
  SegmentRequest request = a_clip(160);
  request.lane_count = 4;
  const auto plan = plan_segments(request);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->segments.size(), 16U);
}

TEST(SegmentPlannerTest, RefusesAnEmptyClipAsBadInput) {
  const auto plan = plan_segments(a_clip(0));
  ASSERT_FALSE(plan);
  EXPECT_EQ(exit_code(plan.error()), 65);
}

TEST(SegmentPlannerTest, RefusesMoreSegmentsThanItsBoundAndSaysWhatWouldDo) {
  SegmentRequest request = a_clip(kSegmentsMax * 3);
  request.segment_frames = 2;
  const auto plan = plan_segments(request);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("--segment-frames 3"), std::string::npos)
      << plan.error().message;
  request.segment_frames = 3;
  EXPECT_TRUE(plan_segments(request));
}

RC_GTEST_PROP(SegmentPlannerPropertyTest, RendersEachFrameOnceAndInOrder, ()) {
  SegmentRequest request;
  request.frame_count = *rc::gen::inRange<std::int64_t>(1, 5000);
  request.segment_frames = *rc::gen::inRange<std::int64_t>(0, 400);
  request.lane_count = *rc::gen::inRange<std::int64_t>(1, 17);
  request.frame_us = *rc::gen::element<std::int64_t>(0, 900, 40'000, 30'000'000);
  request.frames_before = *rc::gen::inRange<std::int64_t>(0, 9);
  request.frames_after = *rc::gen::inRange<std::int64_t>(0, 9);
  const auto plan = plan_segments(request);
  RC_ASSERT(plan.has_value());
  std::int64_t next = 0;
  for (const Segment& segment : plan->segments) {
    RC_ASSERT(segment.id.value == static_cast<std::uint32_t>(&segment - plan->segments.data()));
    RC_ASSERT(segment.first == next);
    RC_ASSERT(segment.frame_count() >= 1);
    RC_ASSERT(segment.frame_count() <= plan->segment_frames);
    RC_ASSERT(segment.frame_count() == plan->segment_frames || &segment == &plan->segments.back());
    next = segment.last;
  }
  RC_ASSERT(next == request.frame_count);
}

RC_GTEST_PROP(SegmentPlannerPropertyTest, ShowsTheModelTheFramesOfAnUncutClip, ()) {
  SegmentRequest request;
  request.frame_count = *rc::gen::inRange<std::int64_t>(1, 60);
  request.segment_frames = *rc::gen::inRange<std::int64_t>(1, 70);
  request.frames_before = *rc::gen::inRange<std::int64_t>(0, 70);
  request.frames_after = *rc::gen::inRange<std::int64_t>(0, 70);
  const auto plan = plan_segments(request);
  RC_ASSERT(plan.has_value());
  for (const Segment& segment : plan->segments) {
    std::vector<std::int64_t> seen;
    for (std::int64_t i = 0; i < segment.repeat_before; ++i) seen.push_back(segment.read_first);
    for (std::int64_t i = segment.read_first; i < segment.read_last; ++i) seen.push_back(i);
    for (std::int64_t i = 0; i < segment.repeat_after; ++i) seen.push_back(segment.read_last - 1);
    std::vector<std::int64_t> wanted;
    for (std::int64_t i = segment.first - request.frames_before;
         i < segment.last + request.frames_after; ++i) {
      wanted.push_back(clamped_frame(i, request.frame_count));
    }
    RC_ASSERT(seen == wanted);
  }
}

}  // namespace
}  // namespace kiln::sharding
