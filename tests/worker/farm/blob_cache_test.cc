#include "worker/blob_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/sha256.h"
#include "tests/base/temp_folder.h"

namespace kiln::worker {
namespace {

class BlobCacheTest : public ::testing::Test {
 protected:
  void open(std::uint64_t budget_bytes) { cache_ = BlobCache::open(folder_ / "blobs", budget_bytes).value(); }
  BlobPin add(const std::string& content) {
    const std::string file = cache_->temporary_path();
    std::ofstream(file) << content;
    return cache_->adopt(blob_of(content), file).value();
  }
  static net::BlobRef blob_of(const std::string& content) { return {sha256(content).hex(), content.size()}; }
  bool has(const std::string& content) { return cache_->find(blob_of(content)) != nullptr; }

  test::TempFolder folder_;
  std::unique_ptr<BlobCache> cache_;
};

TEST_F(BlobCacheTest, WhatWasAdoptedIsFound) {
  open(1000);
  EXPECT_FALSE(has("hello"));
  const BlobPin pin = add("hello");
  EXPECT_EQ(read_file(pin->path(), 100).value(), "hello");
  EXPECT_TRUE(has("hello"));
  EXPECT_EQ(cache_->stats().used_bytes, 5U);
  EXPECT_EQ(add("hello")->path(), pin->path());  // twice is once
  EXPECT_EQ(cache_->stats().used_bytes, 5U);
}

TEST_F(BlobCacheTest, LeastRecentlyUsedGoesFirst) {
  open(12);
  add("aaaa");
  add("bbbb");
  add("cccc");
  EXPECT_TRUE(has("aaaa"));  // used again
  add("dddd");
  EXPECT_TRUE(has("aaaa"));
  EXPECT_FALSE(has("bbbb"));
  EXPECT_EQ(cache_->stats().evictions, 1U);
}

TEST_F(BlobCacheTest, PinnedFilesStayBeyondTheBudgetAndAreCounted) {
  open(6);
  const BlobPin first = add("aaaa");
  const BlobPin second = add("bbbb");
  EXPECT_TRUE(std::filesystem::exists(first->path()));
  EXPECT_TRUE(std::filesystem::exists(second->path()));
  EXPECT_GE(cache_->stats().over_budget, 1U);
}

TEST_F(BlobCacheTest, EarlierFilesAreHashedBeforeTheyAreUsed) {
  open(1000);
  const std::string good = add("good")->path();
  const std::string bad = add("damaged")->path();
  std::ofstream(cache_->temporary_path()) << "half of something";
  std::ofstream(bad) << "DAMAGED";
  open(1000);
  EXPECT_TRUE(has("good"));
  EXPECT_FALSE(has("damaged"));
  EXPECT_FALSE(std::filesystem::exists(bad));
  EXPECT_EQ(cache_->stats().damaged, 1U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "blobs"), {}), 1);  // the half is gone
}

}  // namespace
}  // namespace kiln::worker
