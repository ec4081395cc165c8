#include "cache_store/lease_table.h"

#include <gtest/gtest.h>

namespace kiln::cache {
namespace {

const Digest kKey = sha256(std::string_view("key"));

TEST(LeaseTableTest, WhoGetsTheLeaseByTable) {
  struct Row {
    Fence held;
    std::int64_t held_until;
    Fence asks;
    LeaseAnswer expected;
  };
  const Row rows[] = {
      {{1, 2}, 200, {1, 2}, LeaseAnswer::kGranted},   // renewed
      {{1, 2}, 200, {1, 3}, LeaseAnswer::kGranted},   // a higher attempt, at once
      {{1, 2}, 200, {1, 1}, LeaseAnswer::kOutdated},
      {{1, 2}, 50, {1, 1}, LeaseAnswer::kOutdated},   // though it has expired
      {{1, 2}, 50, {1, 2}, LeaseAnswer::kGranted},
      {{1, 2}, 200, {2, 9}, LeaseAnswer::kHeld},
      {{1, 2}, 200, {0, 9}, LeaseAnswer::kHeld},
      {{1, 2}, 100, {2, 1}, LeaseAnswer::kGranted},   // expired at this very second
      {{1, 2}, 50, {0, 1}, LeaseAnswer::kGranted},
  };
  for (const Row& row : rows) {
    LeaseTable table;
    ASSERT_EQ(table.take(kKey, row.held, row.held_until - 10, 10), LeaseAnswer::kGranted);
    EXPECT_EQ(table.take(kKey, row.asks, 60, 100), row.expected)
        << row.asks.task << "/" << row.asks.attempt << " until " << row.held_until;
    const Lease after = *table.find(kKey);
    if (row.expected == LeaseAnswer::kGranted) {
      EXPECT_EQ(after, (Lease{row.asks, 160}));
    } else {
      EXPECT_EQ(after, (Lease{row.held, row.held_until}));
    }
  }
}

TEST(LeaseTableTest, WhoMayPublishByTable) {
  LeaseTable table;
  EXPECT_TRUE(table.may_publish(kKey, {1, 1}, 0)) << "nobody asked for it";
  ASSERT_EQ(table.take(kKey, {1, 2}, 100, 0), LeaseAnswer::kGranted);
  EXPECT_FALSE(table.may_publish(kKey, {1, 1}, 50));
  EXPECT_TRUE(table.may_publish(kKey, {1, 2}, 50));
  EXPECT_TRUE(table.may_publish(kKey, {1, 3}, 50));
  EXPECT_FALSE(table.may_publish(kKey, {2, 1}, 50));
  EXPECT_TRUE(table.may_publish(kKey, {1, 2}, 500)) << "late, but nobody else came";
  EXPECT_FALSE(table.may_publish(kKey, {1, 1}, 500));
  EXPECT_TRUE(table.may_publish(kKey, {2, 1}, 500));
}

TEST(LeaseTableTest, AReturnedLeaseIsFreeAndStillFences) {
  LeaseTable table;
  ASSERT_EQ(table.take(kKey, {1, 2}, 100, 0), LeaseAnswer::kGranted);
  table.give_back(kKey, {1, 1});
  EXPECT_EQ(table.take(kKey, {2, 1}, 100, 1), LeaseAnswer::kHeld) << "only its holder gives it back";
  table.give_back(kKey, {1, 2});
  EXPECT_FALSE(table.may_publish(kKey, {1, 1}, 1));
  EXPECT_EQ(table.take(kKey, {2, 1}, 100, 1), LeaseAnswer::kGranted);
}

TEST(LeaseTableTest, IsBoundedAndDropsWhatHasExpired) {
  LeaseTable table;
  for (std::size_t i = 0; i < kLeasesMax; ++i) {
    ASSERT_EQ(table.take(sha256(std::to_string(i)), {1, 1}, i < 10 ? 5 : 100, 0), LeaseAnswer::kGranted);
  }
  EXPECT_EQ(table.take(kKey, {1, 1}, 10, 1), LeaseAnswer::kTableFull);
  EXPECT_EQ(table.take(kKey, {1, 1}, 10, 50), LeaseAnswer::kGranted);
  EXPECT_EQ(table.size(), kLeasesMax - 9);
}

TEST(LeaseTableTest, NobodyHoldsALeaseForEver) {
  LeaseTable table;
  ASSERT_EQ(table.take(kKey, {1, 1}, 1'000'000'000, 0), LeaseAnswer::kGranted);
  EXPECT_EQ(table.find(kKey)->expires_unix_s, kLeaseSecondsMax);
}

}  // namespace
}  // namespace kiln::cache
