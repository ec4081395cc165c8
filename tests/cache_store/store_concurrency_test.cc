// Many threads on one store; run under ThreadSanitizer too.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "cache_store/disk_store.h"
#include "tests/base/fault_file_system.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;
using test::envelope_of;
using test::key_of;
using test::sealed;
using test::text_of;

constexpr int kThreads = 4;
constexpr int kRounds = 12;

std::unique_ptr<Store> open_store(FileSystem& files, const std::string& root, const SigningKey& signer) {
  DiskStoreOptions options;
  options.root = root;
  options.trusted = test::trusting(signer);
  options.now_unix_s = [] { return test::kNow; };
  auto store = open_disk_store(files, std::move(options));
  EXPECT_TRUE(store) << store.error().message;
  return std::move(*store);
}

void run_threads(const std::function<void(int)>& body) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&body, i] { body(i); });
}

TEST(StoreConcurrencyTest, OneOfManyPublishersOfAKeyWinsAndAllFindIt) {
  const TempFolder folder;
  const SigningKey signer = *SigningKey::generate();
  const auto store = open_store(posix_file_system(), folder / "cache", signer);
  std::atomic<int> stored{0};
  std::atomic<int> wrong{0};
  run_threads([&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      const Digest key = key_of(fmt::format("k{}", round));
      const std::string content = fmt::format("build of thread {}", thread);
      const auto outcome = store->publish(key, envelope_of(key, content, signer), sealed(content).get());
      if (!outcome) ++wrong;
      if (outcome && *outcome == PublishOutcome::kStored) ++stored;
      const auto artifact = store->find(key);
      if (!artifact || !*artifact || !text_of((*artifact)->content.get()).starts_with("build of thread")) ++wrong;
    }
  });
  EXPECT_EQ(stored, kRounds);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store->stats().publishes, static_cast<std::uint64_t>(kRounds));
  EXPECT_EQ(store->stats().hits, static_cast<std::uint64_t>(kRounds * kThreads));
}

// Damage, discovery and repair race; nobody ever reads damaged bytes, and a repair is never moved away.
TEST(StoreConcurrencyTest, DamageUnderManyReadersIsNeverHandedOutAndRepairsStay) {
  kiln::test::FaultFileSystem files;
  const SigningKey signer = *SigningKey::generate();
  const auto store = open_store(files, "/cache", signer);
  const std::string content(2000, 'c');
  const Digest key = key_of("k");
  const std::string envelope = envelope_of(key, content, signer);
  const std::string hex = sha256(content).hex();
  const std::string blob = "/cache/cas.v1/" + hex.substr(0, 2) + "/" + hex;
  std::atomic<int> wrong{0};
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(store->publish(key, envelope, sealed(content).get()));
    files.overwrite(blob, std::string(2000, 'x'));
    run_threads([&](int thread) {
      if (thread == 0 && !store->publish(key, envelope, sealed(content).get())) ++wrong;
      const auto artifact = store->find(key);
      if (!artifact || (*artifact && text_of((*artifact)->content.get()) != content)) ++wrong;
    });
    const auto artifact = store->find(key);
    ASSERT_TRUE(artifact && *artifact) << "the repair of round " << round << " was moved away";
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store->stats().verify_failures, static_cast<std::uint64_t>(kRounds)) << "each damage is counted once";
}

}  // namespace
}  // namespace kiln::cache
