// Files that change hands by their names, with the store's door between.
#include "cache_store/near_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cache_store/store_service.h"
#include "tests/base/temp_folder.h"

namespace kiln::cache {
namespace {

namespace fs = std::filesystem;
using kiln::test::TempFolder;

class NearStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    StoreServiceOptions options;
    options.root = folder / "store";
    options.open = true;
    options.scrubs = false;
    service = std::move(*StoreService::start(options));
    client = std::make_unique<net::HttpClient>(net::HttpClientOptions{service->bound()});
    near = *find_near_folder(*client, {});
  }
  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder / name) << content;
    return folder / name;
  }
  static std::string read(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static NearBlob blob(const std::string& content, const std::string& owner = "job") {
    return {sha256(content), content.size(), "o=" + owner};
  }
  static ino_t inode(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  }

  const TempFolder folder;
  std::unique_ptr<StoreService> service;
  std::unique_ptr<net::HttpClient> client;
  std::string near;
};

TEST_F(NearStoreTest, AFileIsGivenAndTakenWithoutACopy) {
  ASSERT_EQ(near, folder / "store");
  const std::string given = file("segment", "frames");
  const ino_t before = inode(given);
  ASSERT_EQ(*give_file(*client, near, blob("frames"), given), true);
  EXPECT_EQ(client->get("/cas/" + sha256("frames").hex(), 100)->body, "frames");
  ASSERT_EQ(*give_file(*client, near, blob("frames"), given), true) << "again, and it is there";
  EXPECT_TRUE(fs::is_empty(near + "/tmp.v1"));
  fs::remove(given);
  const std::string taken = folder / "out.mkv";
  ASSERT_EQ(*take_file(*client, near, blob("frames"), taken), true);
  EXPECT_EQ(read(taken), "frames");
  EXPECT_EQ(inode(taken), before);
  EXPECT_EQ(fs::hard_link_count(taken), 1U) << "nobody's but its owner's";
  EXPECT_EQ(client->get("/cas/" + sha256("frames").hex(), 100).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*take_file(*client, near, blob("frames"), taken), false) << "the store has it no more";
  EXPECT_EQ(read(taken), "frames") << "and what was taken stays";
}

TEST_F(NearStoreTest, WhatSomebodyElseWantsIsNotTaken) {
  const std::string given = file("segment", "frames");
  ASSERT_TRUE(*give_file(*client, near, blob("frames", "one"), given));
  ASSERT_TRUE(*give_file(*client, near, blob("frames", "two"), given));
  const std::string taken = folder / "out.mkv";
  EXPECT_EQ(*take_file(*client, near, blob("frames", "one"), taken), false);
  EXPECT_FALSE(fs::exists(taken)) << "it would be the store's";
  EXPECT_EQ(*take_file(*client, near, blob("frames", ""), taken), false) << "and nobody takes without a name";
  EXPECT_EQ(client->get("/cas/" + sha256("frames").hex(), 100)->body, "frames");
}

TEST_F(NearStoreTest, AFolderThatIsNotTheStoresIsSeenAndBytesAreSentInstead) {
  const std::string other = folder / "other";
  fs::create_directories(other + "/tmp.v1");
  EXPECT_EQ(*give_file(*client, other, blob("frames"), file("segment", "frames")), false);
  EXPECT_TRUE(fs::is_empty(other + "/tmp.v1"));
  EXPECT_EQ(*give_file(*client, folder / "nowhere", blob("frames"), folder / "segment"), false);
  EXPECT_EQ(*take_file(*client, other, blob("frames"), folder / "out.mkv"), false);
}

TEST_F(NearStoreTest, AStoreThatIsAwayIsAnErrorAndLeavesNothingInItsFolder) {
  const std::string given = file("segment", "frames");
  ASSERT_TRUE(*give_file(*client, near, blob("frames"), given));
  service->stop(std::chrono::milliseconds(0));
  EXPECT_FALSE(find_near_folder(*client, {}));
  EXPECT_FALSE(give_file(*client, near, blob("other"), file("next", "other")));
  EXPECT_TRUE(fs::is_empty(near + "/tmp.v1"));
  const std::string taken = folder / "out.mkv";
  EXPECT_FALSE(take_file(*client, near, blob("frames"), taken)) << "it may be the only one by now";
  EXPECT_EQ(read(taken), "frames");
}

}  // namespace
}  // namespace kiln::cache
