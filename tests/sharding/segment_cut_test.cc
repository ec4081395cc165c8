#include "sharding/segment_cut.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace kiln::sharding {
namespace {

SegmentCutRequest request(std::int64_t left, double lane, double all, std::int64_t lanes) {
  SegmentCutRequest out;
  out.frames_left = left;
  out.lane_frames_per_second = lane;
  out.total_frames_per_second = all;
  out.lane_count = lanes;
  return out;
}

TEST(SegmentCutTest, LengthsFollowSpeedTargetAndRest) {
  const struct {
    SegmentCutRequest request;
    std::int64_t frames;
    const char* reason;
  } cases[] = {
      {request(10'000, 0.0, 0.0, 2), 16, "not known"},           // a first look
      {request(20, 0.0, 0.0, 2), 8, "not known"},                // a share of half of it would be 5
      {request(10'000, 10.0, 30.0, 2), 100, "10.0 s"},           // ten seconds' worth
      {request(10'000, 20.0, 30.0, 2), 200, "10.0 s"},           // twice as fast, twice as long
      {request(100'000, 500.0, 500.0, 1), 1'000, "10.0 s"},      // the longest there is
      {request(120, 10.0, 10.0, 1), 110, "120 frames are left"},  // one alone, and hardly more than its ten seconds
      {request(126, 10.0, 10.0, 1), 100, "10.0 s"},
      {request(60, 10.0, 10.0, 1), 50, "60 frames are left"},     // and a short one, while that is stored
      {request(19, 10.0, 10.0, 1), 19, "19 frames are left"},
      {request(120, 10.0, 30.0, 2), 20, "120 frames are left"},  // a third of half of the rest
      {request(44, 10.0, 20.0, 2), 11, "44 frames are left"},
      {request(38, 10.0, 20.0, 2), 19, "38 frames are left"},    // half of it would be less than a second: its whole share
      {request(12, 10.0, 20.0, 2), 6, "12 frames are left"},
      {request(7, 10.0, 20.0, 2), 7, "7 frames are left"},       // three alone would cost more than they are
      {request(6, 1.0, 20.0, 2), 6, "6 frames are left"},        // the shortest there is, and two alone
      {request(3, 10.0, 20.0, 2), 3, "3 frames are left"},
  };
  for (const auto& one : cases) {
    const SegmentCut cut = cut_segment(one.request);
    EXPECT_EQ(cut.frames, one.frames) << cut.reason;
    EXPECT_NE(cut.reason.find(one.reason), std::string::npos) << cut.reason;
  }
}

TEST(SegmentCutTest, ALastPieceEndsWhenTheOthersDo) {
  SegmentCutRequest last = request(20, 10.0, 20.0, 2);
  EXPECT_EQ(cut_segment(last).frames, 10);
  last.total_frames_due = 8;  // all of them the other's
  EXPECT_EQ(cut_segment(last).frames, 14);
  last.lane_frames_due = 8;
  EXPECT_EQ(cut_segment(last).frames, 6);
  last.lane_frames_due = 18;  // the other will be done first, but nothing is ever cut into nothing
  last.total_frames_due = 18;
  EXPECT_EQ(cut_segment(last).frames, 4);
}

TEST(SegmentCutTest, AShortClipIsSharedEvenly) {
  SegmentCutRequest slow = request(50, 1.4, 2.8, 2);  // two lanes of a processor, ten seconds are 14 frames
  const std::int64_t first = cut_segment(slow).frames;
  EXPECT_EQ(first, 13);
  slow.frames_left = 50 - 2 * first;
  EXPECT_EQ(cut_segment(slow).frames, 12);
}

TEST(SegmentCutTest, TheJobsOwnLengthIsTakenAsItIs) {
  SegmentCutRequest wish = request(100, 50.0, 100.0, 2);
  wish.fixed_frames = 7;
  EXPECT_EQ(cut_segment(wish).frames, 7);
  wish.frames_left = 5;
  EXPECT_EQ(cut_segment(wish).frames, 5);
}

// Lanes of any speeds take pieces until a clip is used up, each when it is free.
struct Pull {
  std::vector<double> ends_s;     // of each lane
  std::vector<double> longest_s;  // of each lane's last piece: what it may be late by
  std::int64_t frames = 0;
};

// What lanes still have when `at_s` comes, as a coordinator hears of it: in whole frames.
std::int64_t total_due(const Pull& state, const std::vector<double>& speeds, double at_s) {
  std::int64_t out = 0;
  for (std::size_t i = 0; i < speeds.size(); ++i) out += static_cast<std::int64_t>((state.ends_s[i] - at_s) * speeds[i]);
  return out;
}

Pull pull(std::int64_t frames, const std::vector<double>& speeds) {
  Pull out;
  out.ends_s.assign(speeds.size(), 0.0);
  out.longest_s.assign(speeds.size(), 0.0);
  const double all = std::accumulate(speeds.begin(), speeds.end(), 0.0);
  while (out.frames < frames) {
    const auto lane = static_cast<std::size_t>(std::min_element(out.ends_s.begin(), out.ends_s.end()) - out.ends_s.begin());
    SegmentCutRequest one = request(frames - out.frames, speeds[lane], all, static_cast<std::int64_t>(speeds.size()));
    one.total_frames_due = total_due(out, speeds, out.ends_s[lane]);
    const SegmentCut cut = cut_segment(one);
    RC_ASSERT(cut.frames >= 1 && cut.frames <= frames - out.frames);
    RC_ASSERT(cut.frames <= 1'000 + 8);
    out.frames += cut.frames;
    out.longest_s[lane] = static_cast<double>(cut.frames) / speeds[lane];
    out.ends_s[lane] += out.longest_s[lane];
  }
  return out;
}

RC_GTEST_PROP(SegmentCutPropertyTest, EveryFrameIsTakenOnceAndLanesEndWithinOnePiece, ()) {
  const auto frames = *rc::gen::inRange<std::int64_t>(1, 20'000);
  const auto tenths = *rc::gen::container<std::vector<int>>(*rc::gen::inRange<std::size_t>(1, 9), rc::gen::inRange(5, 2'000));
  std::vector<double> speeds;
  for (const int one : tenths) speeds.push_back(one / 10.0);
  const Pull done = pull(frames, speeds);
  RC_ASSERT(done.frames == frames);
  const double last = *std::max_element(done.ends_s.begin(), done.ends_s.end());
  for (std::size_t i = 0; i < speeds.size(); ++i) {
    // A lane that waits at the end waits for one piece of another one, not for two.
    const double longest = *std::max_element(done.longest_s.begin(), done.longest_s.end());
    RC_ASSERT(last - done.ends_s[i] <= longest + 1e-9);
  }
}

// Their last pieces are cut so that they end together, but for what is not worth a piece (three frames here), what rounding
// leaves each, and the frame that is not counted as due while it is at work.
RC_GTEST_PROP(SegmentCutPropertyTest, EqualLanesEndTogether, ()) {
  const auto lanes = *rc::gen::inRange<std::size_t>(2, 9);
  const auto speed = *rc::gen::inRange(5, 2'000) / 10.0;
  const auto frames = *rc::gen::inRange<std::int64_t>(static_cast<std::int64_t>(lanes) * 16, 20'000);
  const Pull done = pull(frames, std::vector<double>(lanes, speed));
  const auto [first, last] = std::minmax_element(done.ends_s.begin(), done.ends_s.end());
  RC_ASSERT((*last - *first) * speed <= 4.0 + 2.0 * static_cast<double>(lanes));
}

}  // namespace
}  // namespace kiln::sharding
