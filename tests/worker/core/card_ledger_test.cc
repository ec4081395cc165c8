// Entries of a card's ledger: by tables, and for any order of what begins and ends.
#include "worker/core/card_ledger.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace kiln::worker {
namespace {

constexpr std::uint64_t kMiB = 1U << 20U;

// Of a lane capped to 2 GiB, as card_rooms makes it.
constexpr CardRoom kSmall{2048 * kMiB, 704 * kMiB, 256 * kMiB, 1088 * kMiB};
constexpr CardRoom kLarge{80'000 * kMiB, 704 * kMiB, 10'000 * kMiB, 46'000 * kMiB};

TEST(CardLedgerTest, WhatFitsBesideWhat) {
  struct Row {
    std::string name;
    CardRoom room;
    CardNeed segment;
    CardNeed compile;
    bool compile_beside_segment;
    bool compile_beside_idle_lane;
  };
  const Row table[]{
      {"small frames under a large cap", {8192 * kMiB, 704 * kMiB, 1024 * kMiB, 4000 * kMiB}, {2 * kMiB, 500 * kMiB},
       {2 * kMiB, 500 * kMiB}, true, true},
      {"small frames under 2 GiB", kSmall, {2 * kMiB, 200 * kMiB}, {2 * kMiB, 200 * kMiB}, false, true},
      {"large frames under 2 GiB", kSmall, {2 * kMiB, 1000 * kMiB}, {2 * kMiB, 1000 * kMiB}, false, false},
      {"a whole card", kLarge, {2 * kMiB, 5000 * kMiB}, {2 * kMiB, 5000 * kMiB}, true, true},
      {"a whole card, and nobody says how much: 0.6 of it each", kLarge, {}, {}, false, true},
      {"under 4 GiB, all of the lane is known", {4096 * kMiB, 704 * kMiB, 548 * kMiB, 3264 * kMiB}, {2 * kMiB, 1173 * kMiB, 2960 * kMiB},
       {2 * kMiB, 200 * kMiB}, false, true},
      {"the same with smaller tiles", {4096 * kMiB, 704 * kMiB, 548 * kMiB, 3264 * kMiB}, {2 * kMiB, 1173 * kMiB, 1400 * kMiB},
       {2 * kMiB, 200 * kMiB}, true, true},
      {"weights of 40 GB twice", kLarge, {40'000 * kMiB, 500 * kMiB}, {40'000 * kMiB, 500 * kMiB}, false, true},
  };
  for (const Row& row : table) {
    CardLedger card(row.room);
    card.on_lane_started();
    EXPECT_EQ(card.compile_fits(row.compile), row.compile_beside_idle_lane) << row.name;
    ASSERT_TRUE(card.segment_fits(row.segment)) << row.name;
    card.on_segment(row.segment);
    EXPECT_EQ(card.compile_fits(row.compile), row.compile_beside_segment) << row.name;
    card.on_lane_gone();
    EXPECT_TRUE(card.compile_fits(row.compile)) << row.name << ": alone everything fits";
  }
}

TEST(CardLedgerTest, ALaneHoldsWhatItsLargestSegmentTookUntilItIsGone) {
  CardLedger card(kLarge);
  card.on_lane_started();
  EXPECT_EQ(card.lane_bytes(), 704 * kMiB);
  card.on_segment({0, 5000 * kMiB});
  card.on_segment({0, 1000 * kMiB});
  EXPECT_EQ(card.lane_bytes(), (704 + 10'000 + 5000) * kMiB);
  card.on_lane_gone();
  EXPECT_EQ(card.lane_bytes(), 0U);
}

TEST(CardLedgerTest, WhatAChildSaysIsLearned) {
  CardLedger card(kSmall);
  const CardNeed need{0, 500 * kMiB};
  const std::uint64_t assumed = (704 + 500 + 256) * kMiB;
  EXPECT_EQ(card.child_bytes_with(need), assumed);
  card.on_compile(need);
  EXPECT_EQ(card.child_bytes(), assumed);
  card.on_compiled({800 * kMiB, 400 * kMiB});
  EXPECT_EQ(card.child_bytes(), 800 * kMiB) << "it rests with its context";
  EXPECT_EQ(card.child_bytes_with(need), (800 + 500 + 256) * kMiB);

  card.on_compile(need);
  card.on_compiled({0, 900 * kMiB});  // more than one run and the margin
  EXPECT_EQ(card.child_bytes_with(need), (800 + 500 + 400) * kMiB) << "and nothing new of the context";

  card.on_child_gone();
  card.on_lane_started();
  card.on_compile(need);
  card.on_compiled({600 * kMiB, 0});
  EXPECT_EQ(card.child_bytes(), 800 * kMiB) << "the lane may have given some back meanwhile";
  card.on_child_gone();
  card.on_compile(need);
  card.on_compiled({900 * kMiB, 0});
  EXPECT_EQ(card.child_bytes(), 900 * kMiB) << "some of it may be the lane's: so much at most";
  card.on_lane_gone();
  card.on_child_gone();
  card.on_compile(need);
  card.on_compiled({1'000'000 * kMiB, 0});  // nonsense
  EXPECT_EQ(card.child_bytes(), 1408 * kMiB);
}

TEST(CardLedgerTest, SegmentsAndLanesFitBesideAChildThatRestsOrNot) {
  CardLedger card(kSmall);
  card.on_compile({0, 1000 * kMiB});
  EXPECT_FALSE(card.lane_fits());
  card.on_compiled({});
  EXPECT_TRUE(card.lane_fits());
  card.on_lane_started();
  EXPECT_TRUE(card.segment_fits({0, 300 * kMiB}));
  EXPECT_FALSE(card.segment_fits({0, 1000 * kMiB}));
  card.on_child_gone();
  EXPECT_TRUE(card.segment_fits({0, 1000 * kMiB}));
}

// Whoever asks first never makes the entries of two processes more than the room.
RC_GTEST_PROP(CardLedgerPropertyTest, WhoAsksIsNeverToldToTakeMoreThanThereIs, ()) {
  CardRoom room;
  room.bytes = *rc::gen::inRange<std::uint64_t>(0, 10'000);
  room.context_bytes = *rc::gen::inRange<std::uint64_t>(0, 2'000);
  room.ring_bytes = *rc::gen::inRange<std::uint64_t>(0, 2'000);
  room.activation_bytes = *rc::gen::inRange<std::uint64_t>(0, 10'000);
  CardLedger card(room);
  const auto amount = [] { return *rc::gen::inRange<std::uint64_t>(0, 8'000); };
  const int steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < steps; ++i) {
    const CardNeed need{amount(), amount()};
    switch (*rc::gen::inRange(0, 6)) {
      case 0: if (card.lane_bytes() == 0 && card.lane_fits()) card.on_lane_started(); break;
      case 1: if (card.lane_bytes() > 0 && card.segment_fits(need)) card.on_segment(need); break;
      case 2: card.on_lane_gone(); break;
      case 3: if (!card.child_compiles() && card.compile_fits(need)) card.on_compile(need); break;
      case 4: if (card.child_compiles()) card.on_compiled({}); break;
      default: card.on_child_gone(); break;
    }
    RC_ASSERT(card.lane_bytes() + card.child_bytes() <= room.bytes);
    RC_ASSERT(card.lane_bytes() > 0 || card.compile_fits(need));
    RC_ASSERT(card.child_bytes() > 0 || (card.segment_fits(need) && card.lane_fits()));
  }
}

}  // namespace
}  // namespace kiln::worker
