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
      {request(120, 10.0, 10.0, 1), 120, "120 frames are left"},  // one alone, and hardly more than its ten seconds
      {request(126, 10.0, 10.0, 1), 100, "10.0 s"},
      {request(60, 10.0, 10.0, 1), 60, "60 frames are left"},     // nobody else waits
      {request(120, 10.0, 30.0, 2), 20, "120 frames are left"},  // a third of half of the rest
      {request(30, 10.0, 20.0, 2), 8, "30 frames are left"},     // the shortest there is
      {request(12, 10.0, 20.0, 2), 12, "12 frames are left"},    // four alone would cost more than they are
      {request(3, 10.0, 20.0, 2), 3, "3 frames are left"},
  };
  for (const auto& one : cases) {
    const SegmentCut cut = cut_segment(one.request);
    EXPECT_EQ(cut.frames, one.frames) << cut.reason;
    EXPECT_NE(cut.reason.find(one.reason), std::string::npos) << cut.reason;
  }
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
  std::vector<double> longest_s;  // of each lane's pieces at the end: what it may be late by
  std::int64_t frames = 0;
};

Pull pull(std::int64_t frames, const std::vector<double>& speeds) {
  Pull out;
  out.ends_s.assign(speeds.size(), 0.0);
  out.longest_s.assign(speeds.size(), 0.0);
  const double all = std::accumulate(speeds.begin(), speeds.end(), 0.0);
  while (out.frames < frames) {
    const auto lane = static_cast<std::size_t>(std::min_element(out.ends_s.begin(), out.ends_s.end()) - out.ends_s.begin());
    const SegmentCut cut = cut_segment(request(frames - out.frames, speeds[lane], all, static_cast<std::int64_t>(speeds.size())));
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

}  // namespace
}  // namespace kiln::sharding
