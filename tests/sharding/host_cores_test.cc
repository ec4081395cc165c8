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

// ---- what lanes do on a host ----

struct HostCase {
  const char* name;
  int cores;
  std::vector<LaneLoad> lanes;
  std::vector<double> speeds;
  bool holds_back;
};

void PrintTo(const HostCase& one, std::ostream* out) { *out << one.name; }

class HostLoadTableTest : public testing::TestWithParam<HostCase> {};

TEST_P(HostLoadTableTest, LanesAreCountedAtTheSpeedThatCoresCarry) {
  const HostCase& one = GetParam();
  const HostLoad load = load_host(one.cores, one.lanes);
  ASSERT_EQ(load.frames_per_second.size(), one.speeds.size());
  for (std::size_t i = 0; i < one.speeds.size(); ++i) EXPECT_NEAR(load.frames_per_second[i], one.speeds[i], 1e-9) << i;
  EXPECT_EQ(load.holds_back(), one.holds_back);
}

// A card that could do 60 frames a second, and encodes 30 of them on four cores.
constexpr LaneLoad kFedByFourCores{30.0, 60.0, 0.01, 0.01, 0.11333333333333333};

INSTANTIATE_TEST_SUITE_P(
    Hosts, HostLoadTableTest,
    testing::Values(
        HostCase{"NobodyIsThere", 4, {}, {}, false},
        HostCase{"NothingIsKnownOfTheCores", 0, {kFedByFourCores, kFedByFourCores}, {30.0, 30.0}, false},
        HostCase{"NothingIsKnownOfTheLanes", 1, {{30.0}, {10.0}}, {30.0, 10.0}, false},
        HostCase{"ALaneThatHasNotRendered", 4, {kFedByFourCores, {}}, {30.0, 0.0}, true},
        // It is as fast as it was: something else than cores keeps its model waiting.
        HostCase{"CoresAreFree", 16, {kFedByFourCores, kFedByFourCores}, {30.0, 30.0}, false},
        // They were measured one at a time: together they do not get that.
        HostCase{"TwoWhereOneWas", 4, {kFedByFourCores, kFedByFourCores}, {15.0, 15.0}, true},
        // They were measured together, and one is gone: the other has its cores.
        HostCase{"TheHostWasFull", 4, {{15.0, 60.0, 0.0, 0.0, 0.125}, {15.0, 60.0, 0.0, 0.0, 0.125}}, {16.0, 16.0}, true},
        HostCase{"AModelThatHardlyWaits", 2, {{2.0, 2.1, 0.02, 0.4, 0.05}, {2.0, 2.1, 0.02, 0.4, 0.05}}, {2.1, 2.1}, false}),
    [](const auto& one) { return one.param.name; });

TEST(HostLoadTest, WhatTakesMostIsNamed) {
  const HostLoad load = load_host(16, std::vector<LaneLoad>(4, {30.0, 100.0, 0.02, 0.01, 0.1}));
  EXPECT_EQ(largest_share_text(16, load), "12.3 of 16 host cores go to encoders");
  EXPECT_NEAR(load.taken(), 16.0, 1e-9);
  EXPECT_NEAR(load.wanted, 400.0, 1e-9);
  EXPECT_EQ(largest_share_text(2, load_host(2, {{1.0, 1.0, 0.5, 0.1, 0.1}})), "0.5 of 2 host cores go to decoders");
  EXPECT_EQ(largest_share_text(2, load_host(2, {{1.0, 1.0, 0.1, 0.5, 0.1}})), "0.5 of 2 host cores go to networks");
  EXPECT_EQ(largest_share_text(2, load_host(2, {{1.0}})), "");
}

TEST(HostLoadTest, LanesAtOtherWorkTakeCoresAndAddNoFrames) {
  constexpr LaneLoad kOwn{10.0, 50.0, 0.01, 0.01, 0.15};
  LaneLoad other = kOwn;
  other.beside = true;
  const HostLoad load = load_host(2, {kOwn, other, other});
  EXPECT_EQ(load.frames_per_second.size(), 3U);
  EXPECT_NEAR(load.reached, 2.0 / 3.0 / 0.17, 1e-9);
  EXPECT_NEAR(load.wanted, 50.0, 1e-9);
  EXPECT_NEAR(load.beside_cores, 4.0 / 3.0, 1e-9);
  EXPECT_NEAR(load.taken(), 2.0, 1e-9);
  EXPECT_EQ(largest_share_text(2, load), "1.3 of 2 host cores go to other clips");
  EXPECT_NEAR(load_host(16, {kOwn, other, other}).reached, 10.0, 1e-9) << "there is room for all";
}

TEST(HostLoadTest, CoresAreUsedAsMuchAsTheyWereAndNoLaneIsFasterThanItsModel) {
  std::mt19937_64 random(12);
  std::uniform_real_distribution<double> speed(0.1, 50.0);
  std::uniform_real_distribution<double> takes(0.0, 0.3);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<LaneLoad> lanes(1 + random() % 6);
    for (LaneLoad& lane : lanes) {
      lane = {speed(random), 0.0, takes(random), takes(random), takes(random)};
      lane.model_frames_per_second = lane.frames_per_second * (1.0 + takes(random));
    }
    const int cores = 1 + static_cast<int>(random() % 16);
    const HostLoad load = load_host(cores, lanes);
    double were_taken = 0.0;
    for (const LaneLoad& lane : lanes) were_taken += lane.frames_per_second * lane.core_seconds();
    EXPECT_LE(load.taken(), cores + 1e-9);
    EXPECT_GE(load.taken(), std::min(were_taken, static_cast<double>(cores)) - 1e-9);
    EXPECT_LE(load.reached, load.wanted + 1e-9);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      EXPECT_LE(load.frames_per_second[i], lanes[i].model_frames_per_second + 1e-9);
    }
    const HostLoad none_known = load_host(0, lanes);
    for (std::size_t i = 0; i < lanes.size(); ++i) EXPECT_EQ(none_known.frames_per_second[i], lanes[i].frames_per_second);
  }
}

}  // namespace
}  // namespace kiln::sharding
