#include "sharding/host_cores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kiln::sharding {
namespace {

double cores_used(const std::vector<CoreDemand>& lanes, const CoreShares& shares) {
  double used = 0.0;
  for (std::size_t i = 0; i < lanes.size(); ++i) used += shares.frames_per_second[i] * lanes[i].core_seconds_per_frame;
  return used;
}

TEST(HostCoresTest, LanesThatFitGetWhatTheyCanUse) {
  const CoreShares shares = share_cores(4, {{10.0, 0.1}, {20.0, 0.15}});
  EXPECT_TRUE(shares.enough);
  EXPECT_EQ(shares.frames_per_second, (std::vector<double>{10.0, 20.0}));
}

TEST(HostCoresTest, WhatASmallLaneLeavesIsSharedByTheOthers) {
  const CoreShares shares = share_cores(5, {{100.0, 0.1}, {10.0, 0.1}, {100.0, 0.2}});
  EXPECT_FALSE(shares.enough);
  EXPECT_EQ(shares.frames_per_second, (std::vector<double>{20.0, 10.0, 10.0}));  // two cores, one, two
}

TEST(HostCoresTest, WhatIsNotKnownHoldsNobodyBack) {
  EXPECT_TRUE(share_cores(0, {{100.0, 1.0}}).enough);
  const CoreShares shares = share_cores(1, {{100.0, 0.0}, {5.0, 0.5}});
  EXPECT_EQ(shares.frames_per_second, (std::vector<double>{100.0, 2.0}));
  EXPECT_TRUE(share_cores(4, {}).frames_per_second.empty());
}

TEST(HostCoresTest, NeverMoreThanThereIsNeverLessThanCouldBeInAnyOrder) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> speed(0.0, 50.0);
  std::uniform_real_distribution<double> takes(0.01, 0.5);
  for (int round = 0; round < 2'000; ++round) {
    const int cores = 1 + static_cast<int>(random() % 16);
    std::vector<CoreDemand> lanes(1 + random() % 6);
    for (CoreDemand& lane : lanes) lane = {speed(random), takes(random)};
    const CoreShares shares = share_cores(cores, lanes);
    double wanted = 0.0;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      wanted += lanes[i].frames_per_second * lanes[i].core_seconds_per_frame;
      EXPECT_LE(shares.frames_per_second[i], lanes[i].frames_per_second);
    }
    EXPECT_NEAR(cores_used(lanes, shares), std::min(wanted, static_cast<double>(cores)), 1e-9);
    EXPECT_EQ(shares.enough, wanted <= cores);
    std::vector<CoreDemand> turned(lanes.rbegin(), lanes.rend());
    const CoreShares again = share_cores(cores, turned);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      EXPECT_DOUBLE_EQ(again.frames_per_second[lanes.size() - 1 - i], shares.frames_per_second[i]);
    }
  }
}

}  // namespace
}  // namespace kiln::sharding
