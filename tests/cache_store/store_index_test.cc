#include "cache_store/store_index.h"

#include <gtest/gtest.h>

#include <random>

namespace kiln::cache {
namespace {

Digest named(int number) { return sha256(std::to_string(number)); }

TEST(StoreIndexTest, LongestUnusedGoesFirstAndOnlyAsMuchAsIsNeeded) {
  StoreIndex index;
  for (int i = 0; i < 4; ++i) index.add_blob(named(i), 10, 0);
  index.touch(named(0));
  const auto eviction = index.plan_eviction(15, 100);
  ASSERT_TRUE(eviction);
  EXPECT_EQ(eviction->blobs, (std::vector<Digest>{named(1), named(2)}));
  EXPECT_EQ(eviction->bytes, 20U);
  index.forget(*eviction);
  EXPECT_EQ(index.used_bytes(), 20U);
}

TEST(StoreIndexTest, PinnedAndFreshBlobsStay) {
  StoreIndex index;
  index.add_blob(named(0), 10, 0);
  index.add_blob(named(1), 10, 500);
  index.add_blob(named(2), 10, 0);
  index.pin("a", named(0));
  index.pin("b", named(0));
  EXPECT_EQ(index.plan_eviction(10, 100)->blobs, (std::vector<Digest>{named(2)}));
  EXPECT_FALSE(index.plan_eviction(11, 100)) << "one is pinned, one is fresh";
  EXPECT_EQ(index.plan_eviction(20, 500)->blobs, (std::vector<Digest>{named(1), named(2)}));
  index.unpin("a");
  EXPECT_FALSE(index.plan_eviction(30, 500)) << "b still pins it";
  index.unpin("b");
  EXPECT_TRUE(index.plan_eviction(30, 500));
}

// Results of a job that was removed go before the packages and artifacts of others, however old those are.
TEST(StoreIndexTest, WhatWasKeptForAJobGoesFirstWhenTheJobIsGone) {
  StoreIndex index;
  for (int i = 0; i < 4; ++i) index.add_blob(named(i), 10, 0);
  index.add_key(named(9), named(3), 1);
  for (const int i : {2, 3}) index.pin("job", named(i));
  EXPECT_EQ(index.plan_eviction(10, 0)->blobs, (std::vector<Digest>{named(0)}));
  index.unpin("job");
  EXPECT_EQ(index.plan_eviction(20, 0)->blobs, (std::vector<Digest>{named(2), named(0)}));
  index.touch(named(2));  // somebody reads it again
  EXPECT_EQ(index.plan_eviction(10, 0)->blobs, (std::vector<Digest>{named(0)}));
}

TEST(StoreIndexTest, AnArtifactsEnvelopesGoWithItsContent) {
  StoreIndex index;
  index.add_blob(named(0), 100, 0);
  index.add_key(named(10), named(0), 7);
  index.add_key(named(11), named(0), 8);
  index.add_key(named(12), std::nullopt, 9);
  EXPECT_EQ(index.used_bytes(), 124U);
  const auto eviction = index.plan_eviction(1, 0);
  EXPECT_EQ(eviction->keys.size(), 2U);
  EXPECT_EQ(eviction->bytes, 115U);
  index.forget(*eviction);
  EXPECT_EQ(index.used_bytes(), 9U);
  EXPECT_EQ(index.plan_eviction(9, 0)->keys, (std::vector<Digest>{named(12)})) << "it leads nowhere";
}

TEST(StoreIndexTest, RandomUseNeverLosesCountNorAPin) {
  std::mt19937_64 random(6);
  StoreIndex index;
  std::map<int, std::uint64_t> sizes;
  std::map<std::string, std::set<int>> pins;
  for (int step = 0; step < 20'000; ++step) {
    const int blob = static_cast<int>(random() % 30);
    const std::string owner(1, static_cast<char>('a' + random() % 4));
    switch (random() % 6) {
      case 0:
      case 1:
        sizes[blob] = random() % 100;
        index.add_blob(named(blob), sizes[blob], static_cast<std::int64_t>(random() % 10));
        break;
      case 2: index.touch(named(blob)); break;
      case 3:
        index.pin(owner, named(blob));
        pins[owner].insert(blob);
        break;
      case 4:
        if (random() % 8 == 0) {
          EXPECT_EQ(index.unpin(owner).size(), pins[owner].size());
          pins.erase(owner);
        } else {
          index.unpin(owner, named(blob));
          pins[owner].erase(blob);
        }
        break;
      default:
        if (const auto eviction = index.plan_eviction(random() % 300, 5)) {
          for (const auto& [name, pinned] : pins) {
            for (const int one : pinned) {
              EXPECT_EQ(std::count(eviction->blobs.begin(), eviction->blobs.end(), named(one)), 0);
            }
          }
          index.forget(*eviction);
          std::erase_if(sizes, [&](const auto& entry) { return !index.has_blob(named(entry.first)); });
        }
    }
    std::uint64_t total = 0;
    for (const auto& [name, bytes] : sizes) total += bytes;
    ASSERT_EQ(index.used_bytes(), total);
  }
}

}  // namespace
}  // namespace kiln::cache
