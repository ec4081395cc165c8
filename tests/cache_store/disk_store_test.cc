#include "cache_store/disk_store.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/base/fault_file_system.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::FaultFileSystem;
using test::envelope_of;
using test::key_of;
using test::sealed;
using test::text_of;

constexpr const char* kRoot = "/state/cache";

// A store on a disk in memory, whose events are kept.
class DiskStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store.reset();
    auto opened = open_disk_store(files, options());
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  DiskStoreOptions options() {
    DiskStoreOptions made;
    made.root = kRoot;
    made.trusted = trusted;
    made.budget_bytes = budget_bytes;
    made.now_unix_s = [] { return test::kNow; };
    made.on_event = [this](const StoreEvent& event) { events.push_back(event.what); };
    return made;
  }
  Result<PublishOutcome> publish(const Digest& of, const std::string& content) {
    return store->publish(of, envelope_of(of, content, signer), sealed(content).get());
  }
  // What find() hands out, or "" for a miss.
  std::string found(const Digest& of) {
    auto artifact = store->find(of);
    EXPECT_TRUE(artifact) << artifact.error().message;
    if (!artifact || !*artifact) return "";
    EXPECT_TRUE(verify_artifact((*artifact)->envelope, (*artifact)->content.get(), of, trusted, test::kNow));
    return text_of((*artifact)->content.get());
  }
  std::string key_path(const Digest& of) { return std::string(kRoot) + "/keys.v1/" + of.hex(); }
  std::string blob_path(std::string_view content) {
    const std::string hex = sha256(content).hex();
    return std::string(kRoot) + "/cas.v1/" + hex.substr(0, 2) + "/" + hex;
  }
  std::size_t quarantined_files() { return files.list(std::string(kRoot) + "/quarantine.v1")->size(); }

  FaultFileSystem files;
  const SigningKey signer = *SigningKey::generate();
  TrustedKeys trusted = test::trusting(signer);
  std::uint64_t budget_bytes = kStoreBudgetBytes;
  std::vector<std::string> events;
  std::unique_ptr<Store> store;
  const Digest key = key_of("a");
};

TEST_F(DiskStoreTest, FindsWhatWasPublishedAlsoAfterReopening) {
  EXPECT_EQ(found(key), "");
  EXPECT_EQ(*publish(key, "content"), PublishOutcome::kStored);
  EXPECT_EQ(found(key), "content");
  open();
  EXPECT_EQ(found(key), "content");
  EXPECT_EQ(found(key_of("b")), "");
  EXPECT_TRUE(events.empty());
}

TEST_F(DiskStoreTest, FirstValidPublishWinsThoughBuildsAreNotReproducible) {
  EXPECT_EQ(*publish(key, "build one"), PublishOutcome::kStored);
  EXPECT_EQ(*publish(key, "build two"), PublishOutcome::kAlreadyThere);
  EXPECT_EQ(found(key), "build one");
  EXPECT_EQ(*publish(key_of("b"), "build one"), PublishOutcome::kStored);  // one blob, two keys
  EXPECT_EQ(found(key_of("b")), "build one");
  EXPECT_EQ(store->stats().publishes, 2U);
  EXPECT_EQ(store->stats().publishes_already_there, 1U);
}

TEST_F(DiskStoreTest, RefusesToPublishWhatDoesNotVerify) {
  const std::string envelope = envelope_of(key, "content", signer);
  EXPECT_FALSE(store->publish(key, envelope, sealed("other").get()));
  EXPECT_FALSE(store->publish(key_of("b"), envelope, sealed("content").get()));
  EXPECT_FALSE(store->publish(key, envelope_of(key, "content", *SigningKey::generate()), sealed("content").get()));
  const auto refused = store->publish(key, "", sealed("content").get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 65);
  EXPECT_EQ(found(key), "");
  EXPECT_EQ(store->stats().used_bytes, 0U);
}

TEST_F(DiskStoreTest, AnyFlippedBitAtRestIsAMissAndIsPutAway) {
  const std::string content = "some content";
  std::uint64_t expected = 0;
  for (const bool in_blob : {true, false}) {
    const std::size_t size = in_blob ? content.size() : envelope_of(key, content, signer).size();
    for (std::size_t bit = 0; bit < size * 8; bit += in_blob ? 1 : 61) {
      ASSERT_TRUE(publish(key, content));
      const std::string path = in_blob ? blob_path(content) : key_path(key);
      std::string bytes = files.contents(path);
      bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1U << (bit % 8)));
      files.overwrite(path, bytes);
      ASSERT_EQ(found(key), "") << path << " bit " << bit;
      EXPECT_FALSE(files.stat(path)) << "it was not moved away";
      expected += in_blob ? 2 : 1;
      EXPECT_EQ(store->stats().quarantined, expected);
    }
  }
  EXPECT_EQ(*publish(key, content), PublishOutcome::kStored);  // built again, stored again
  EXPECT_EQ(found(key), content);
  EXPECT_EQ(quarantined_files(), kQuarantineFilesMax);
  EXPECT_EQ(store->stats().quarantine_dropped, expected - kQuarantineFilesMax);
}

TEST_F(DiskStoreTest, TruncatedEmptyAndGrownFilesAreMisses) {
  for (const std::string& bad : {std::string(), std::string("some"), std::string("some content and more")}) {
    ASSERT_TRUE(publish(key, "some content"));
    files.overwrite(blob_path("some content"), bad);
    EXPECT_EQ(found(key), "");
    ASSERT_TRUE(publish(key, "some content"));
    files.overwrite(key_path(key), bad);
    EXPECT_EQ(found(key), "");
  }
  EXPECT_EQ(store->stats().verify_failures, 3U);
  EXPECT_EQ(store->stats().signature_failures, 3U);
}

TEST_F(DiskStoreTest, SwappedArtifactsAreMisses) {
  ASSERT_TRUE(publish(key, "one"));
  ASSERT_TRUE(publish(key_of("b"), "two"));
  const std::string a = files.contents(key_path(key));
  files.overwrite(key_path(key), files.contents(key_path(key_of("b"))));
  files.overwrite(key_path(key_of("b")), a);
  EXPECT_EQ(found(key), "");
  EXPECT_EQ(found(key_of("b")), "");
  EXPECT_EQ(events, (std::vector<std::string>{"key_mismatch", "key_mismatch"}));
  EXPECT_EQ(files.contents(blob_path("one")), "one") << "the content was sound and stays";
}

TEST_F(DiskStoreTest, RevokedSignerAndOlderEpochAreMissesAfterRestart) {
  ASSERT_TRUE(publish(key, "one"));
  trusted.raise_minimum_epoch(4);
  open();
  EXPECT_EQ(found(key), "");
  trusted = test::trusting(signer);
  open();
  ASSERT_TRUE(publish(key, "one"));
  trusted.revoke(signer.public_key().id());
  open();
  EXPECT_EQ(found(key), "");
  EXPECT_EQ(events, (std::vector<std::string>{"epoch_too_old", "signer_revoked"}));
}

TEST_F(DiskStoreTest, ContentThatVanishedIsAMiss) {
  ASSERT_TRUE(publish(key, "one"));
  ASSERT_TRUE(files.remove_file(blob_path("one")));
  EXPECT_EQ(found(key), "");
  EXPECT_EQ(events, (std::vector<std::string>{"unreadable"}));
  ASSERT_TRUE(publish(key, "one"));
  EXPECT_EQ(found(key), "one");
}

TEST_F(DiskStoreTest, AFolderInThePlaceOfAFileIsAMiss) {
  ASSERT_TRUE(files.make_directory(key_path(key), 0700));
  EXPECT_EQ(found(key), "");
  ASSERT_TRUE(publish(key, "one"));
  EXPECT_EQ(found(key), "one");
}

TEST_F(DiskStoreTest, BlobsComeBackSealedOrNotAtAll) {
  const Digest digest = *store->put_blob(test::bytes_of("blob"));
  EXPECT_EQ(digest, sha256(std::string_view("blob")));
  EXPECT_EQ(*store->put_blob(test::bytes_of("blob")), digest);
  const auto blob = store->get_blob(digest);
  ASSERT_TRUE(blob && *blob);
  EXPECT_TRUE(require_sealed((*blob)->get()));
  EXPECT_EQ(text_of((*blob)->get()), "blob");
  files.overwrite(blob_path("blob"), "blub");
  EXPECT_FALSE(*store->get_blob(digest));
  EXPECT_EQ(store->stats().quarantined, 1U);
  ASSERT_TRUE(store->put_blob(test::bytes_of("blob")));
  EXPECT_TRUE(*store->get_blob(digest));
  ASSERT_TRUE(store->put_blob({}));  // the empty one is a blob as any other
}

TEST_F(DiskStoreTest, PublishRepairsADamagedBlobOfTheSameContent) {
  ASSERT_TRUE(store->put_blob(test::bytes_of("one")));
  files.overwrite(blob_path("one"), "bad");
  EXPECT_EQ(*publish(key, "one"), PublishOutcome::kStored);
  EXPECT_EQ(found(key), "one");
}

TEST_F(DiskStoreTest, TempFilesOfADeadProcessAreSweptAtStart) {
  files.stop_at(4);  // while a temp file is being written
  EXPECT_FALSE(publish(key, "one"));
  files.restart();
  const std::string temp_folder = std::string(kRoot) + "/tmp.v1";
  ASSERT_EQ(files.list(temp_folder)->size(), 1U);
  open();
  EXPECT_TRUE(files.list(temp_folder)->empty());
  EXPECT_EQ(store->stats().swept_temp_files, 1U);
}

TEST_F(DiskStoreTest, ASecondOpenerIsRefusedWithAClearLine) {
  const auto second = open_disk_store(files, options());
  ASSERT_FALSE(second);
  EXPECT_EQ(exit_code(second.error()), 75);
  EXPECT_NE(second.error().message.find(kRoot), std::string::npos);
  EXPECT_NE(second.error().message.find("--state"), std::string::npos);
  store.reset();
  EXPECT_TRUE(open_disk_store(files, options()));
}

TEST_F(DiskStoreTest, AFullDiskIsAnErrorAndLeavesNothingBehind) {
  ASSERT_TRUE(publish(key, "one"));
  const auto before = files.all_files();
  files.limit_bytes(0);
  const auto refused = publish(key_of("b"), "two");
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 74);
  EXPECT_EQ(files.all_files(), before);
  EXPECT_EQ(found(key), "one") << "reading goes on";
}

TEST_F(DiskStoreTest, TheByteBudgetIsHeldAndCounted) {
  budget_bytes = 4000;
  open();
  ASSERT_TRUE(publish(key, std::string(100, 'a')));
  const std::uint64_t used = store->stats().used_bytes;
  EXPECT_EQ(used, 100 + envelope_of(key, std::string(100, 'a'), signer).size());
  const auto refused = publish(key_of("b"), std::string(4000, 'b'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 74);
  EXPECT_EQ(store->stats().budget_refusals, 1U);
  EXPECT_EQ(store->stats().used_bytes, used);
  open();
  EXPECT_EQ(store->stats().used_bytes, used) << "counted again at start";
}

TEST_F(DiskStoreTest, CountsHitsMissesAndBytes) {
  ASSERT_TRUE(publish(key, "12345"));
  (void)found(key);
  (void)found(key);
  (void)found(key_of("b"));
  const StoreStats stats = store->stats();
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.bytes_read, 10U);
  EXPECT_EQ(stats.bytes_written, 5 + files.contents(key_path(key)).size());
  EXPECT_EQ(stats.verify_failures + stats.signature_failures + stats.quarantined, 0U);
}

TEST_F(DiskStoreTest, FilesOfAnotherFormatVersionAreLeftAlone) {
  ASSERT_TRUE(files.make_directory(std::string(kRoot) + "/keys.v2", 0700));
  ASSERT_TRUE(files.create_exclusive(std::string(kRoot) + "/keys.v2/x", 0600));
  open();
  EXPECT_EQ(found(key), "");
  EXPECT_TRUE(files.stat(std::string(kRoot) + "/keys.v2/x"));
}

TEST_F(DiskStoreTest, AFailedSyncIsNeverAcknowledged) {
  for (std::uint64_t n = 1; n <= 12; ++n) {
    const Digest one = key_of("sync" + std::to_string(n));
    files.fail_at(n, EIO);
    const auto outcome = publish(one, "content" + std::to_string(n));
    if (outcome) continue;  // fewer operations than that
    EXPECT_EQ(exit_code(outcome.error()), 74);
    ASSERT_TRUE(publish(one, "content" + std::to_string(n))) << "the next try works";
    EXPECT_EQ(found(one), "content" + std::to_string(n));
  }
  EXPECT_TRUE(files.list(std::string(kRoot) + "/tmp.v1")->empty());
}

}  // namespace
}  // namespace kiln::cache
