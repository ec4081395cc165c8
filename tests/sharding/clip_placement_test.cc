#include "sharding/clip_placement.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace kiln::sharding {
namespace {

LaneFit lane(std::string name, int kind, std::uint64_t budget, double speed = 0.0) {
  return {std::move(name), kind, budget, speed};
}

// Whole frames need 2 GiB; small tiles need 200 MiB and cost a fifth more.
std::vector<TileOffer> two_offers() { return {{2_GiB, 100'000}, {200_MiB, 120'000}}; }

bool says(const std::vector<std::string>& lines, const std::string& words) {
  for (const std::string& line : lines) {
    if (line.find(words) != std::string::npos) return true;
  }
  return false;
}

TEST(ClipPlacementTest, LanesThatHoldTheWholeFrameRenderItWhole) {
  ClipPlacementRequest request{{lane("a", 0, 4_GiB), lane("b", 0, 4_GiB)}, two_offers(), {}, 0, false};
  const auto placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->offer, 0U);
  EXPECT_EQ(placed->lanes, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(placed->left_out.empty());
}

TEST(ClipPlacementTest, ASmallLaneTakesPartWhereItsHelpIsWorthTheSmallerTiles) {
  ClipPlacementRequest request{{lane("big", 0, 4_GiB, 1.0), lane("small", 0, 500_MiB, 1.0)}, two_offers(), {}, 0, false};
  const auto together = place_clip(request, nullptr);
  ASSERT_TRUE(together);
  EXPECT_EQ(together->offer, 1U);
  EXPECT_EQ(together->lanes.size(), 2U);

  request.lanes[1].frames_per_second = 0.05;  // it would cost the big one more than it gives
  const auto alone = place_clip(request, nullptr);
  ASSERT_TRUE(alone);
  EXPECT_EQ(alone->offer, 0U);
  EXPECT_EQ(alone->lanes, (std::vector<std::size_t>{0}));
  EXPECT_TRUE(says(alone->left_out, "small: holds 500 MiB, 2048 MiB are needed"));
}

TEST(ClipPlacementTest, OneClassRendersAClipUnlessTheJobTakesMixedOnes) {
  ClipPlacementRequest request{{lane("a", 0, 4_GiB, 1.0), lane("b", 1, 4_GiB, 3.0), lane("c", 1, 4_GiB, 1.0)},
                               two_offers(), {}, 0, false};
  const auto strict = place_clip(request, nullptr);
  ASSERT_TRUE(strict);
  EXPECT_EQ(strict->kind, 1);
  EXPECT_EQ(strict->lanes, (std::vector<std::size_t>{1, 2}));
  EXPECT_TRUE(says(strict->left_out, "a: another class"));
  request.mix_kinds = true;
  EXPECT_EQ(place_clip(request, nullptr)->lanes.size(), 3U);
}

// Two hosts of cards of one class: what their cores can decode and encode of it decides, not the cards alone.
ClipPlacementRequest two_hosts_of_cards() {
  ClipPlacementRequest request{{}, {{1_GiB, 100'000}}, {}, 0, false, {{"big", 32}, {"small", 4}}};
  for (const int host : {0, 0, 1, 1, 1, 1}) {
    LaneFit card = lane(request.hosts[static_cast<std::size_t>(host)].name, 0, 8_GiB, 30.0);
    card.host = host;
    card.media_core_seconds = 0.1;  // three cores for each card
    request.lanes.push_back(card);
  }
  return request;
}

TEST(ClipPlacementTest, CoresOfAHostBoundWhatItsCardsGiveAndAreNamed) {
  const ClipPlacementRequest request = two_hosts_of_cards();
  const auto placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->lanes.size(), 6U);
  EXPECT_DOUBLE_EQ(placed->frames_per_second, 2 * 30.0 + 4 / 0.1);
  ASSERT_EQ(placed->held_back.size(), 1U);
  EXPECT_EQ(placed->held_back[0], "small: its 4 cores are enough for 40.0 of the 120.0 frames a second of its lanes");
  EXPECT_NE(placed->reason.find("small: its 4 cores"), std::string::npos);
}

TEST(ClipPlacementTest, WhatTakesTheCoresIsNamed) {
  ClipPlacementRequest request = two_hosts_of_cards();
  for (LaneFit& card : request.lanes) card.encode_core_seconds = 0.08;
  const auto placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->held_back, (std::vector<std::string>{"small: its 4 cores are enough for 40.0 of the 120.0 frames a second of "
                                                         "its lanes: 3.2 of 4 host cores go to encoders"}));
}

TEST(ClipPlacementTest, AClassWhoseHostCannotFeedItGivesWayToOneThatGetsMoreDone) {
  ClipPlacementRequest request = two_hosts_of_cards();
  for (LaneFit& card : request.lanes) card.kind = card.host;
  EXPECT_EQ(place_clip(request, nullptr)->kind, 0) << "60 frames a second are more than the 40 that 4 cores encode";
  request.hosts[1].cores = 32;
  EXPECT_EQ(place_clip(request, nullptr)->kind, 1) << "four cards are more than two";
  request.hosts.clear();
  EXPECT_EQ(place_clip(request, nullptr)->kind, 1) << "what is not known holds nobody back";
  EXPECT_TRUE(place_clip(request, nullptr)->held_back.empty());
}

TEST(ClipPlacementTest, SmallTilesCostLanesWithoutACardMoreOfTheCoresThanThoseWithOne) {
  ClipPlacementRequest request{{lane("cpu", 0, 1_GiB, 10.0)}, {{500_MiB, 200'000}, {2_GiB, 100'000}}, {}, 0, false, {}};
  request.hosts = {{"h", 1}};
  request.lanes[0].host = 0;
  request.lanes[0].media_core_seconds = 0.1;
  EXPECT_TRUE(place_clip(request, nullptr)->held_back.empty()) << "tiles halve its speed, and with it what it decodes";
  request.lanes[0].model_core_seconds = 0.1;
  EXPECT_DOUBLE_EQ(place_clip(request, nullptr)->frames_per_second, 1 / 0.3);
}

TEST(ClipPlacementTest, NothingThatHoldsItIsSaidForEachLane) {
  ClipPlacementRequest request{{lane("a", 0, 100_MiB), lane("b", 0, 50_MiB)}, two_offers(), {}, 0, false};
  std::vector<std::string> why;
  EXPECT_FALSE(place_clip(request, &why));
  EXPECT_TRUE(says(why, "a: holds 100 MiB, 200 MiB are needed"));
  EXPECT_TRUE(says(why, "b: holds 50 MiB, 200 MiB are needed"));
  request.offers.clear();
  why.clear();
  EXPECT_FALSE(place_clip(request, &why));
  EXPECT_TRUE(says(why, "fits in no tile"));
  request.lanes.clear();
  why.clear();
  EXPECT_FALSE(place_clip(request, &why));
  EXPECT_EQ(why, std::vector<std::string>{"no lane is there"});
}

TEST(ClipPlacementTest, AVariantsLimitCountsAsIfLanesWereSmaller) {
  ClipPlacementRequest request{{lane("a", 0, 4_GiB)}, two_offers(), {}, 1_GiB, false};
  EXPECT_EQ(place_clip(request, nullptr)->offer, 1U);
}

TEST(ClipPlacementTest, WhatAnOutOfMemoryTaughtIsNotTriedAgain) {
  ClipPlacementRequest request{{lane("a", 0, 4_GiB)}, two_offers(), {{0, 0, 4_GiB + 1}}, 0, false};
  EXPECT_EQ(place_clip(request, nullptr)->offer, 1U);
  EXPECT_EQ(needed_bytes(request, request.lanes[0], 0), 4_GiB + 1);
  EXPECT_EQ(needed_bytes(request, lane("b", 1, 4_GiB), 0), 2_GiB);  // another class of lanes learned nothing
}

TEST(ClipPlacementTest, OnACardWeightsAndBuffersCountToo) {
  LaneFit card = lane("card", 0, 3_GiB);
  card.on_card = true;
  ClipPlacementRequest request{{card, lane("host", 1, 3_GiB)}, two_offers(), {}, 0, true};
  request.offers[0].card_bytes = 3_GiB;
  EXPECT_EQ(needed_bytes(request, card, 0), 3_GiB);
  EXPECT_EQ(needed_bytes(request, request.lanes[1], 0), 2_GiB);
  EXPECT_EQ(needed_bytes(request, card, 1), 200_MiB);  // nobody asked for cards
  EXPECT_EQ(place_clip(request, nullptr)->lanes.size(), 2U);
  request.offers[0].card_bytes = 3_GiB + 1;
  request.mix_kinds = false;
  request.lanes.pop_back();
  const auto placed = place_clip(request, nullptr);
  EXPECT_EQ(placed->offer, 1U);
  EXPECT_EQ(placed->reason, "1 of 1 lanes, 200 MiB each");
}

// A card renders in float16, the CPU in float32; the probe found tiles in both.
ClipPlacementRequest card_and_cpu() {
  ClipPlacementRequest request{{lane("cpu", 0, 4_GiB, 1.0), lane("card", 1, 4_GiB, 200.0)}, {}, {}, 0, false};
  request.lanes[1].dtypes = {GraphDtype::kFloat16, GraphDtype::kFloat32};
  request.offers = {{2_GiB, 100'000, GraphDtype::kFloat32}, {1_GiB, 100'000, GraphDtype::kFloat16}};
  return request;
}

TEST(ClipPlacementTest, EachClassIsWeighedInWhatItComputesIn) {
  ClipPlacementRequest request = card_and_cpu();
  auto placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->kind, 1);
  EXPECT_EQ(placed->offer, 1U);

  request.lanes[1].frames_per_second = 0.5;
  placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->kind, 0);
  EXPECT_EQ(placed->offer, 0U);
}

TEST(ClipPlacementTest, WhereNoTilesOfItsBestWereFoundACardTakesTheNext) {
  ClipPlacementRequest request = card_and_cpu();
  request.offers.pop_back();
  const auto placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->kind, 1);
  EXPECT_EQ(placed->offer, 0U);
}

TEST(ClipPlacementTest, MixedClassesShareOneDtype) {
  ClipPlacementRequest request = card_and_cpu();
  request.mix_kinds = true;
  const auto placed = place_clip(request, nullptr);
  ASSERT_TRUE(placed);
  EXPECT_EQ(request.offers[placed->offer].dtype, GraphDtype::kFloat32);
  EXPECT_EQ(placed->lanes.size(), 2U);
}

TEST(ClipPlacementTest, ALaneThatComputesInNothingOfItSaysSo) {
  ClipPlacementRequest request = card_and_cpu();
  request.lanes.pop_back();
  request.lanes[0].dtypes.clear();
  std::vector<std::string> why;
  EXPECT_FALSE(place_clip(request, &why));
  EXPECT_TRUE(says(why, "cpu: does not compute in the precision"));
}

}  // namespace
}  // namespace kiln::sharding
