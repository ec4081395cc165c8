#include "sharding/card_memory.h"

#include <gtest/gtest.h>

#include "sharding/allocator_model.h"

namespace kiln::sharding {
namespace {

constexpr std::uint64_t kKiB = 1U << 10U;
constexpr std::uint64_t kMiB = 1U << 20U;

TEST(AllocatorModelTest, SmallThingsShareSegmentsOfTwoMebibytes) {
  AllocatorModel memory;
  for (int i = 0; i < 4; ++i) (void)memory.take(512 * kKiB);
  EXPECT_EQ(memory.reserved_bytes(), 2 * kMiB);
  (void)memory.take(1);
  EXPECT_EQ(memory.reserved_bytes(), 4 * kMiB);
}

TEST(AllocatorModelTest, MiddleOnesShareSegmentsOfTwentyAndLargeOnesHaveTheirOwn) {
  AllocatorModel memory;
  for (int i = 0; i < 4; ++i) (void)memory.take(5 * kMiB);
  EXPECT_EQ(memory.reserved_bytes(), 20 * kMiB);
  (void)memory.take(21 * kMiB + 1);
  EXPECT_EQ(memory.reserved_bytes(), 42 * kMiB);
}

TEST(AllocatorModelTest, WhatIsGivenBackIsTakenAgainAndNeighboursBecomeOne) {
  AllocatorModel memory;
  const auto first = memory.take(5 * kMiB);
  const auto second = memory.take(5 * kMiB);
  const auto third = memory.take(5 * kMiB);
  memory.give_back(first);
  memory.give_back(second);
  EXPECT_EQ(memory.take(9 * kMiB), first);
  EXPECT_EQ(memory.reserved_bytes(), 20 * kMiB);
  memory.give_back(third);
  memory.give_back(third);  // twice, and what is none, does nothing
  memory.give_back(7);
  EXPECT_EQ(memory.reserved_bytes(), 20 * kMiB);
}

TEST(AllocatorModelTest, NothingTakesNothing) {
  AllocatorModel memory;
  EXPECT_EQ(memory.take(0), 0U);
  memory.give_back(0);
  EXPECT_EQ(memory.reserved_bytes(), 0U);
}

TEST(CardMemoryTest, PartsAreWhatTheAllocatorHasForThem) {
  CardHoldings holdings;
  holdings.weights_bytes = {64 * kKiB, 64 * kKiB};
  holdings.sources = 3;
  holdings.planes_bytes = 2 * kMiB;
  holdings.rgb_bytes = 12 * kMiB;
  holdings.outputs = 2;
  holdings.output_bytes = 22 * kMiB - 100;
  const CardEstimate estimate = estimate_card(500 * kMiB, holdings, {{100 * kMiB, 0}, {100 * kMiB, 0}, {0, 0}, {90 * kMiB, 0}});
  EXPECT_EQ(estimate.context_bytes, 500 * kMiB);
  // One of the twelve, and all planes, are in the segment of twenty.
  EXPECT_EQ(estimate.held_bytes, (2 + 20 + 2 * 12 + 2 * 22) * kMiB);
  EXPECT_EQ(estimate.activation_bytes, 200 * kMiB);
  EXPECT_EQ(estimate.total(), (500 + 90 + 200) * kMiB);
}

TEST(CardMemoryTest, OfACompiledRunThePeakIsBuffersAsTheGraphHasThem) {
  const std::vector<MemoryStep> walk{{7 * kMiB, 0}, {3 * kMiB, 0}, {0, 0}, {7 * kMiB, 0}, {0, 1}};
  const auto steps = steps_of_peak(16 * kMiB, walk);
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].bytes, 7 * kMiB);
  EXPECT_EQ(steps[1].bytes, 7 * kMiB);
  EXPECT_EQ(steps[2].bytes, 2 * kMiB);
  EXPECT_EQ(estimate_card(0, {}, steps).total(), 20 * kMiB);
  EXPECT_TRUE(steps_of_peak(0, walk).empty());
  EXPECT_EQ(steps_of_peak(5, {}).size(), 1U);
}

TEST(CardMemoryTest, AFrameOfTilesIsHeldBesideTheRuns) {
  CardHoldings holdings;
  holdings.assembled_bytes = 50 * kMiB;
  holdings.tile_bytes = 4 * kMiB;
  const CardEstimate estimate = estimate_card(0, holdings, {{30 * kMiB, 0}});
  EXPECT_EQ(estimate.held_bytes, 0U);
  EXPECT_EQ(estimate.activation_bytes, (50 + 20 + 30) * kMiB);
}

}  // namespace
}  // namespace kiln::sharding
