// Streamed blobs, pins, budget and eviction, on the disk that fails and on the real one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "cache_store/disk_store.h"
#include "tests/base/fault_file_system.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::FaultFileSystem;
using test::bytes_of;

constexpr const char* kRoot = "/state/cache";
constexpr int kOperationsMax = 200;

std::string content_of(int number, std::size_t bytes = 1000) {
  std::string content = fmt::format("blob {};", number);
  while (content.size() < bytes) content += content;
  content.resize(bytes);
  return content;
}

Result<std::unique_ptr<LocalStore>> open_on(FileSystem& files, const std::string& root, std::uint64_t budget,
                                            std::int64_t now = test::kNow) {
  DiskStoreOptions options;
  options.root = root;
  options.budget_bytes = budget;
  options.evicts = true;
  options.upload_grace_s = 100;
  options.now_unix_s = [now] { return now; };
  return open_disk_store(files, std::move(options));
}

Result<PublishOutcome> upload(BlobStore& store, std::string_view content, const std::string& owner = "") {
  KILN_TRY_ASSIGN(auto started, store.begin_blob(sha256(content), content.size(), owner));
  if (!started) return PublishOutcome::kAlreadyThere;
  for (std::size_t at = 0; at < content.size(); at += 300) KILN_TRY(started->append(bytes_of(content.substr(at, 300))));
  return started->commit();
}

// A file in the store's own folder, under a name of a temporary one, not synced; its name.
std::string give(FileSystem& files, std::string_view content) {
  const std::string name = random_temp_name();
  auto file = files.create_exclusive(std::string(kRoot) + "/tmp.v1/" + name, 0600);
  if (file) (void)(*file)->append(bytes_of(content));
  return name;
}

Result<PublishOutcome> adopt(BlobStore& store, FileSystem& files, std::string_view content, const std::string& owner = "") {
  return store.adopt_blob(sha256(content), give(files, content), content.size(), owner);
}

bool holds(BlobStore& store, std::string_view content) {
  const auto blob = store.open_blob(sha256(content), true);
  EXPECT_TRUE(blob) << blob.error().message;
  return blob && *blob && (*blob)->bytes == content.size();
}

class BlobStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open(std::int64_t now = test::kNow) {
    store.reset();
    auto opened = open_on(files, kRoot, budget_bytes, now);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  std::string path_of(std::string_view content) {
    const std::string hex = sha256(content).hex();
    return fmt::format("{}/cas.v1/{}/{}", kRoot, hex.substr(0, 2), hex);
  }
  FaultFileSystem files;
  std::uint64_t budget_bytes = 5000;
  std::unique_ptr<LocalStore> store;
};

TEST_F(BlobStoreTest, WhatIsStreamedInComesOutAndIsKnownTheNextTime) {
  EXPECT_EQ(*upload(*store, content_of(1)), PublishOutcome::kStored);
  EXPECT_EQ(*upload(*store, content_of(1)), PublishOutcome::kAlreadyThere);
  EXPECT_EQ(*upload(*store, ""), PublishOutcome::kStored) << "the empty file is a file";
  const auto blob = store->open_blob(sha256(content_of(1)), false);
  ASSERT_TRUE(blob && *blob);
  EXPECT_EQ(*read_to_end((*blob)->fd.get(), 10'000), content_of(1));
  EXPECT_FALSE(*store->open_blob(sha256("nothing"), false));
  EXPECT_EQ(store->stats().used_bytes, 1000U);
  EXPECT_EQ(store->stats().reserved_bytes, 0U);
}

TEST_F(BlobStoreTest, OtherBytesThanTheNameAreRefusedAndNothingStays) {
  auto wrong = *store->begin_blob(sha256("one"), 3, "");
  ASSERT_TRUE(wrong->append(bytes_of("two")));
  const auto committed = wrong->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::kDataLoss);
  wrong.reset();
  auto longer = *store->begin_blob(sha256("one"), 2, "");
  EXPECT_FALSE(longer->append(bytes_of("one")));
  longer.reset();
  auto shorter = *store->begin_blob(sha256("one"), 4, "");
  ASSERT_TRUE(shorter->append(bytes_of("one")));
  EXPECT_FALSE(shorter->commit());
  shorter.reset();
  EXPECT_FALSE(holds(*store, "one"));
  EXPECT_EQ(store->stats().uploads_refused, 3U);
  EXPECT_EQ(store->stats().reserved_bytes, 0U);
  EXPECT_TRUE(files.list(std::string(kRoot) + "/tmp.v1")->empty());
}

TEST_F(BlobStoreTest, AnAbandonedUploadLeavesNothing) {
  auto begun = *store->begin_blob(sha256("x"), 1000, "");
  ASSERT_TRUE(begun->append(bytes_of("half")));
  EXPECT_EQ(store->stats().reserved_bytes, 1000U);
  begun.reset();
  EXPECT_EQ(store->stats().uploads_cut, 1U);
  EXPECT_EQ(store->stats().reserved_bytes, 0U);
  EXPECT_TRUE(files.list(std::string(kRoot) + "/tmp.v1")->empty());
}

TEST_F(BlobStoreTest, RoomIsSetAsideBeforeTheFirstByte) {
  const auto first = store->begin_blob(sha256("a"), 3000, "");
  ASSERT_TRUE(first);
  const auto second = store->begin_blob(sha256("b"), 3000, "");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kResourceExhausted);
  EXPECT_FALSE(store->begin_blob(sha256("c"), ~std::uint64_t{0}, ""));
  EXPECT_EQ(store->stats().budget_refusals, 2U);
}

TEST_F(BlobStoreTest, LongestUnusedGoesAndWhatIsPinnedStays) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(upload(*store, content_of(i), i == 0 ? "job" : ""));
  ASSERT_FALSE(upload(*store, content_of(5))) << "all of them are fresh";
  open(test::kNow + 1'000'000'000);
  EXPECT_TRUE(holds(*store, content_of(1)));
  ASSERT_TRUE(upload(*store, content_of(6)));
  EXPECT_TRUE(holds(*store, content_of(0))) << "pinned, also by the store before";
  EXPECT_TRUE(holds(*store, content_of(1))) << "used a moment ago";
  EXPECT_FALSE(holds(*store, content_of(2)));
  EXPECT_EQ(store->stats().evictions, 1U);
  EXPECT_EQ(store->stats().evicted_bytes, 1000U);
}

TEST_F(BlobStoreTest, WhenAllIsPinnedNothingGoesAndNothingNewComes) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(upload(*store, content_of(i), "job"));
  open(test::kNow + 1'000'000'000);
  const auto refused = upload(*store, content_of(6));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(store->stats().evictions, 0U);
  EXPECT_EQ(*store->unpin("job"), 5U);
  EXPECT_TRUE(upload(*store, content_of(6)));
}

TEST_F(BlobStoreTest, WhatIsNoLongerPinnedGoesFirstAndTheRestStaysAlsoInTheNextStore) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(upload(*store, content_of(i), "job"));
  EXPECT_EQ(*store->unpin_others("job", {sha256(content_of(0)), sha256(content_of(3)), sha256("gone")}), 3U);
  open(test::kNow + 1'000'000'000);
  EXPECT_EQ(store->pins_of("job").size(), 2U);
  for (int i = 6; i < 9; ++i) ASSERT_TRUE(upload(*store, content_of(i)));
  for (const int i : {0, 3}) EXPECT_TRUE(holds(*store, content_of(i)));
  for (const int i : {1, 2, 4}) EXPECT_FALSE(holds(*store, content_of(i)));
}

TEST_F(BlobStoreTest, PinsNameWhatIsMissingAndOutliveTheStore) {
  ASSERT_TRUE(upload(*store, content_of(1)));
  const auto pinned = store->pin("job", {sha256(content_of(1)), sha256("gone")});
  ASSERT_TRUE(pinned);
  EXPECT_EQ(pinned->pinned, 1U);
  EXPECT_EQ(pinned->missing, (std::vector<Digest>{sha256("gone")}));
  EXPECT_EQ(*upload(*store, content_of(1), "other"), PublishOutcome::kAlreadyThere) << "pins without a byte sent";
  open();
  EXPECT_EQ(store->pins_of("job"), (std::vector<Digest>{sha256(content_of(1))}));
  EXPECT_EQ(store->pins_of("other").size(), 1U);
  EXPECT_EQ(store->stats().pinned_blobs, 1U);
  EXPECT_EQ(*store->unpin("nobody"), 0U);
  EXPECT_EQ(*store->unpin("job"), 1U);
  open();
  EXPECT_TRUE(store->pins_of("job").empty());
}

TEST_F(BlobStoreTest, DamageIsFoundWhenOpenedWhenAskedAndByScrubbing) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(upload(*store, content_of(i)));
  files.overwrite(path_of(content_of(0)), "something else");
  EXPECT_FALSE(*store->open_blob(sha256(content_of(0)), false)) << "the file is another one than was hashed";
  EXPECT_EQ(store->stats().quarantined, 1U);
  files.overwrite(path_of(content_of(1)), std::string(1000, 'x'));
  int rounds = 0;
  while (*store->scrub_one()) ++rounds;
  EXPECT_EQ(rounds, 2);
  EXPECT_EQ(store->stats().verify_failures, 2U);
  EXPECT_EQ(store->stats().blobs, 1U);
  EXPECT_EQ(store->stats().used_bytes, 1000U);
  EXPECT_EQ(*upload(*store, content_of(1)), PublishOutcome::kStored) << "it can be sent again";
}

TEST_F(BlobStoreTest, AFileThatIsGivenBecomesTheBlobAndIsPinned) {
  EXPECT_EQ(*adopt(*store, files, content_of(1), "job"), PublishOutcome::kStored);
  EXPECT_TRUE(holds(*store, content_of(1)));
  EXPECT_EQ(*adopt(*store, files, content_of(1), "job"), PublishOutcome::kAlreadyThere);
  EXPECT_TRUE(files.list(std::string(kRoot) + "/tmp.v1")->empty()) << "also of what was there already";
  EXPECT_EQ(store->stats().adopted, 1U);
  EXPECT_EQ(store->stats().used_bytes, 1000U);
  EXPECT_EQ(store->stats().reserved_bytes, 0U);
  open();
  EXPECT_EQ(store->pins_of("job"), (std::vector<Digest>{sha256(content_of(1))}));
}

TEST_F(BlobStoreTest, AFileThatIsNotWhatItsGiverSaysIsAMissWhenItIsOpened) {
  EXPECT_TRUE(store->adopt_blob(sha256(content_of(1)), give(files, content_of(2)), 1000, "job"));
  EXPECT_FALSE(*store->open_blob(sha256(content_of(1)), false));
  EXPECT_EQ(store->stats().quarantined, 1U);
  EXPECT_EQ(*upload(*store, content_of(1), "job"), PublishOutcome::kStored);
}

TEST_F(BlobStoreTest, OnlyFilesOfItsOwnFolderAreTaken) {
  const Digest digest = sha256(content_of(1));
  for (const char* name : {"../cas.v1/x", "", "lock", "../../etc/passwd", "0123456789abcdef0123456789abcdef.tmp/x"}) {
    EXPECT_EQ(store->adopt_blob(digest, name, 1000, "").error().code, ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(store->adopt_blob(digest, random_temp_name(), 1000, "").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->adopt_blob(digest, give(files, content_of(1)), 999, "").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store->stats().reserved_bytes, 0U);
}

TEST_F(BlobStoreTest, OnlyWhatNobodyElseWantsIsReleased) {
  ASSERT_TRUE(upload(*store, content_of(1), "job"));
  ASSERT_TRUE(upload(*store, content_of(2), "job"));
  ASSERT_TRUE(upload(*store, content_of(2), "other"));
  ASSERT_TRUE(store->release_blob(sha256(content_of(1)), "job"));
  EXPECT_FALSE(*store->open_blob(sha256(content_of(1)), false));
  EXPECT_EQ(store->release_blob(sha256(content_of(1)), "job").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store->release_blob(sha256(content_of(2)), "job").error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(holds(*store, content_of(2)));
  EXPECT_EQ(store->stats().released, 1U);
  EXPECT_EQ(store->stats().used_bytes, 1000U);
  EXPECT_EQ(*upload(*store, content_of(1), "job"), PublishOutcome::kStored) << "it may come again";
}

TEST_F(BlobStoreTest, ADamagedBlobIsNotWhatAnUploadFinds) {
  ASSERT_TRUE(upload(*store, content_of(0), "job"));
  files.overwrite(path_of(content_of(0)), "something else");
  EXPECT_EQ(*upload(*store, content_of(0)), PublishOutcome::kStored);
  EXPECT_TRUE(holds(*store, content_of(0)));
  EXPECT_EQ(store->stats().pinned_blobs, 1U) << "a pin outlives the damage";
}

TEST_F(BlobStoreTest, AnArtifactIsEvictedWithItsKeyAndIsAPlainMiss) {
  budget_bytes = 20'000;
  const SigningKey signer = *SigningKey::generate();
  open();
  store->set_trusted(test::trusting(signer));
  const Digest key = test::key_of("k");
  const std::string content = content_of(9, 8000);
  ASSERT_TRUE(store->publish(key, test::envelope_of(key, content, signer), test::sealed(content).get()));
  ASSERT_TRUE(*store->find(key));
  open(test::kNow + 1'000'000'000);
  store->set_trusted(test::trusting(signer));
  ASSERT_TRUE(upload(*store, content_of(1, 19'000)));
  EXPECT_FALSE(*store->find(key));
  EXPECT_EQ(store->stats().verify_failures + store->stats().signature_failures, 0U) << "eviction is no damage";
  EXPECT_LE(store->stats().used_bytes, budget_bytes);
}

using Store = Result<PublishOutcome> (*)(BlobStore& store, FileSystem& files, std::string_view content);

// Every operation at which the process may die, or power may fail, while blobs come in with a pin.
void stop_at_every_operation(Store put) {
  for (const bool power : {false, true}) {
    int operation = 1;
    bool completed = false;
    for (; !completed && operation < kOperationsMax; ++operation) {
      FaultFileSystem files;
      std::set<int> acknowledged;
      {
        files.stop_at(static_cast<std::uint64_t>(operation));
        auto store = open_on(files, kRoot, 100'000);
        for (int i = 0; store && i < 3; ++i) {
          if (put(**store, files, content_of(i))) acknowledged.insert(i);
        }
        completed = !files.stopped();
      }
      power ? files.lose_power(static_cast<std::uint64_t>(operation)) : files.restart();
      const auto store = open_on(files, kRoot, 100'000);
      ASSERT_TRUE(store) << store.error().message;
      for (int i = 0; i < 3; ++i) {
        const bool there = holds(**store, content_of(i));
        EXPECT_TRUE(there || !acknowledged.contains(i)) << "lost after operation " << operation;
        const auto pins = (*store)->pins_of("job");
        if (acknowledged.contains(i)) {
          EXPECT_EQ(std::count(pins.begin(), pins.end(), sha256(content_of(i))), 1);
        }
        EXPECT_TRUE(put(**store, files, content_of(i))) << "the next run completes";
      }
      EXPECT_EQ((*store)->stats().verify_failures, 0U);
    }
    EXPECT_TRUE(completed);
    EXPECT_GT(operation, 25);
  }
}

TEST(BlobStoreCrashTest, AcknowledgedBlobsAndPinsSurviveAStopAtEveryOperation) {
  stop_at_every_operation([](BlobStore& store, FileSystem&, std::string_view content) { return upload(store, content, "job"); });
}

TEST(BlobStoreCrashTest, AcknowledgedFilesThatWereGivenSurviveAStopAtEveryOperation) {
  stop_at_every_operation(
      [](BlobStore& store, FileSystem& files, std::string_view content) { return adopt(store, files, content, "job"); });
}

TEST(BlobStoreCrashTest, APinThatStaysSurvivesAStopAtEveryOperationWhileOthersGo) {
  for (const bool power : {false, true}) {
    int operation = 1;
    bool completed = false;
    for (; !completed && operation < kOperationsMax; ++operation) {
      FaultFileSystem files;
      bool pinned = false;
      bool released = false;
      {
        files.stop_at(static_cast<std::uint64_t>(operation));
        auto store = open_on(files, kRoot, 100'000);
        for (int i = 0; store && i < 3; ++i) pinned = upload(**store, content_of(i), "job").has_value();
        released = pinned && (*store)->unpin_others("job", {sha256(content_of(0))});
        completed = !files.stopped();
      }
      power ? files.lose_power(static_cast<std::uint64_t>(operation)) : files.restart();
      const auto store = open_on(files, kRoot, 100'000);
      ASSERT_TRUE(store) << store.error().message;
      const auto pins = (*store)->pins_of("job");
      EXPECT_TRUE(!pinned || std::count(pins.begin(), pins.end(), sha256(content_of(0))) == 1) << operation;
      EXPECT_TRUE(!released || pins.size() == 1) << operation;
    }
    EXPECT_TRUE(completed);
  }
}

TEST(BlobStoreCrashTest, AFullDiskIsAnErrorAndLeavesNothing) {
  FaultFileSystem files;
  auto store = *open_on(files, kRoot, 1'000'000);
  files.limit_bytes(1500);
  ASSERT_TRUE(upload(*store, content_of(1)));
  const auto refused = upload(*store, content_of(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(store->stats().used_bytes, 1000U);
  EXPECT_EQ(store->stats().reserved_bytes, 0U);
  EXPECT_TRUE(files.list(std::string(kRoot) + "/tmp.v1")->empty());
}

TEST(BlobStoreThreadsTest, ManyWritersNeverExceedTheBudgetNorLoseAPin) {
  const kiln::test::TempFolder folder;
  constexpr std::uint64_t kBudget = 60'000;
  DiskStoreOptions options;
  options.root = folder / "cache";
  options.budget_bytes = kBudget;
  options.evicts = true;
  options.upload_grace_s = 0;
  auto store = *open_disk_store(posix_file_system(), options);
  std::atomic<bool> done{false};
  std::atomic<int> over{0};
  std::thread watcher([&] {
    while (!done) {
      const StoreStats stats = store->stats();
      if (stats.used_bytes + stats.reserved_bytes > kBudget) ++over;
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < 6; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const int number = i % 5 == 0 ? i : t * 1000 + i;  // some are everybody's
        const auto stored = upload(*store, content_of(number, 2'000), i < 4 ? fmt::format("t{}", t) : "");
        EXPECT_TRUE(stored || stored.error().code == ErrorCode::kResourceExhausted) << stored.error().message;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  watcher.join();
  EXPECT_EQ(over, 0);
  EXPECT_LE(store->stats().used_bytes, kBudget);
  EXPECT_GT(store->stats().evictions, 0U);
  for (int t = 0; t < 6; ++t) {
    for (const Digest& digest : store->pins_of(fmt::format("t{}", t))) EXPECT_TRUE(*store->open_blob(digest, true));
  }
}

}  // namespace
}  // namespace kiln::cache
