// Who loads weights together, and what each is told.
#include "worker/core/weight_groups.h"

#include <gtest/gtest.h>

namespace kiln::worker {
namespace {

constexpr LaneId kA{0};
constexpr LaneId kB{1};
constexpr LaneId kC{2};
constexpr const char* kWeights = "abc/float16";
constexpr const char* kOthers = "def/float16";

GroupWord open(LaneId lane, std::uint64_t epoch, std::uint32_t rank, std::uint32_t ranks) {
  return {lane, net::OpenShare{epoch, rank, ranks}};
}
GroupWord over(LaneId lane, std::uint64_t epoch, const std::string& why) { return {lane, net::ShareOver{epoch, why}}; }

TEST(WeightGroupsTest, TwoLanesAreAGroupAndTheFirstIsItsRoot) {
  WeightGroups groups;
  EXPECT_EQ(groups.gather(kWeights, {kA, kC}), (GroupWords{open(kA, 1, 0, 2), open(kC, 1, 1, 2)}));
  EXPECT_EQ(groups.on_opened(kA, {1, "id"}), (GroupWords{{kC, net::ShareId{1, "id"}}}));
  EXPECT_EQ(groups.load(kWeights, kC).epoch, 1U);
  EXPECT_EQ(groups.load(kWeights, kA).epoch, 1U);
  EXPECT_TRUE(groups.on_ended(kA, {1, ""}).empty());
  EXPECT_EQ(groups.on_ended(kC, {1, ""}), (GroupWords{over(kA, 1, ""), over(kC, 1, "")}));
  EXPECT_EQ(groups.counters().completed, 1U);
  EXPECT_FALSE(groups.has(kA) || groups.has(kC));
}

TEST(WeightGroupsTest, OneLaneIsNone) {
  WeightGroups groups;
  EXPECT_TRUE(groups.gather(kWeights, {}).empty());
  EXPECT_TRUE(groups.gather(kWeights, {kB}).empty());
  EXPECT_EQ(groups.load(kWeights, kB).epoch, 0U);
  EXPECT_EQ(groups.counters().opened, 0U);
}

TEST(WeightGroupsTest, AGroupDoesNotGrowAndWhoComesLateIsAlone) {
  WeightGroups groups;
  (void)groups.gather(kWeights, {kA, kB});
  EXPECT_TRUE(groups.gather(kWeights, {kA, kB, kC}).empty());
  EXPECT_EQ(groups.load(kWeights, kC).epoch, 0U);
  EXPECT_EQ(groups.load(kWeights, kB).epoch, 1U);
}

TEST(WeightGroupsTest, EpochsRiseAndWordsOfOlderOnesAreDropped) {
  WeightGroups groups;
  (void)groups.gather(kWeights, {kA, kB});
  (void)groups.on_lost(kB, "gone");
  EXPECT_EQ(groups.gather(kWeights, {kA, kB}).front(), open(kA, 2, 0, 2));
  EXPECT_TRUE(groups.on_opened(kA, {1, "old"}).empty());
  EXPECT_TRUE(groups.on_ended(kB, {1, "old"}).empty());
  EXPECT_EQ(groups.counters().late_messages, 2U);
  EXPECT_EQ(groups.on_opened(kA, {2, "new"}).size(), 1U);
}

struct EndCase {
  const char* name;
  GroupWords (*happens)(WeightGroups&);
  std::string why;
};

class EveryEnd : public ::testing::TestWithParam<EndCase> {};

// Whoever goes, and however: the others hear of it at once, with the reason, and nobody is in a group any more.
TEST_P(EveryEnd, IsToldToTheOthers) {
  WeightGroups groups;
  (void)groups.gather(kWeights, {kA, kB, kC});
  (void)groups.on_opened(kA, {1, "id"});
  (void)groups.on_ended(kA, {1, ""});
  EXPECT_EQ(GetParam().happens(groups), (GroupWords{over(kA, 1, GetParam().why), over(kC, 1, GetParam().why)}));
  EXPECT_FALSE(groups.has(kA) || groups.has(kB) || groups.has(kC));
  EXPECT_EQ(groups.counters().given_up, 1U);
  EXPECT_EQ(groups.load(kWeights, kA).epoch, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Ends, EveryEnd,
    ::testing::Values(EndCase{"death", [](WeightGroups& groups) { return groups.on_lost(kB, "it died"); }, "it died"},
                      EndCase{"deadline", [](WeightGroups& groups) { return groups.on_ended(kB, {1, "no chunk"}); }, "lane 1: no chunk"},
                      EndCase{"other_package", [](WeightGroups& groups) { return groups.load(kOthers, kB).words; },
                              "lane 1 loads another package"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(WeightGroupsTest, LanesThatTurnToAnotherPackageLeaveTheirGroupFirst) {
  WeightGroups groups;
  (void)groups.gather(kWeights, {kA, kB});
  EXPECT_EQ(groups.gather(kOthers, {kB, kC}), (GroupWords{over(kA, 1, "lane 1 loads another package"), open(kB, 2, 0, 2), open(kC, 2, 1, 2)}));
  EXPECT_FALSE(groups.has(kA));
}

TEST(WeightGroupsTest, OnlyTheRootOpensAndOnlyOnce) {
  WeightGroups groups;
  (void)groups.gather(kWeights, {kA, kB});
  EXPECT_TRUE(groups.on_opened(kB, {1, "id"}).empty());
  EXPECT_EQ(groups.on_opened(kA, {1, "id"}).size(), 1U);
  EXPECT_TRUE(groups.on_opened(kA, {1, "id"}).empty());
}

TEST(WeightGroupsTest, WhoHasAllAndLoadsAgainLoadsAlone) {
  WeightGroups groups;
  (void)groups.gather(kWeights, {kA, kB});
  (void)groups.on_ended(kB, {1, ""});
  const auto again = groups.load(kWeights, kB);
  EXPECT_EQ(again.epoch, 0U);
  EXPECT_EQ(again.words, (GroupWords{over(kA, 1, "lane 1 loads another package")}));
}

}  // namespace
}  // namespace kiln::worker
