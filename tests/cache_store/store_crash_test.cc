// Death and loss of power at every operation of a fixed script, on the disk that fails; the same with real
// processes and a real file system is store_kill_test.cc.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "cache_store/disk_store.h"
#include "tests/base/fault_file_system.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::FaultFileSystem;
using test::envelope_of;
using test::key_of;
using test::sealed;
using test::text_of;

constexpr std::uint64_t kSeeds = 3;

// What the world was told.
struct Acknowledged {
  std::map<std::string, std::set<std::string>> contents;  // key name -> any of these
  std::map<std::string, std::string> exact;               // key name -> this one, known to have won
  std::set<std::string> blobs;
};

class StoreCrashTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Store>> open(FaultFileSystem& files) {
    DiskStoreOptions options;
    options.root = "/state/cache";
    options.trusted = test::trusting(signer);
    options.now_unix_s = [] { return test::kNow; };
    return open_disk_store(files, std::move(options));
  }

  void publish(Store& store, Acknowledged& told, const std::string& name, const std::string& content) {
    tried[name].insert(content);
    const Digest key = key_of(name);
    const auto outcome = store.publish(key, envelope_of(key, content, signer), sealed(content).get());
    if (!outcome) return;
    told.contents[name].insert(content);
    if (*outcome == PublishOutcome::kStored) told.exact[name] = content;
  }

  void script(FaultFileSystem& files, Acknowledged& told) {
    auto store = open(files);
    if (!store) return;
    publish(**store, told, "a", std::string(3000, 'a'));
    publish(**store, told, "b", "content of b");
    publish(**store, told, "a", std::string(3000, 'z'));  // comes second
    publish(**store, told, "c", "content of b");          // shares a blob
    if ((*store)->put_blob(test::bytes_of("a blob"))) told.blobs.insert("a blob");
    publish(**store, told, "b", "content of b");
  }

  void check(Store& store, const Acknowledged& told, const std::string& where) {
    for (const std::string name : {"a", "b", "c"}) {
      auto artifact = store.find(key_of(name));
      ASSERT_TRUE(artifact) << artifact.error().message;
      if (!*artifact) {
        EXPECT_FALSE(told.contents.contains(name)) << "acknowledged, then lost: " << name << where;
        continue;
      }
      const std::string content = text_of((*artifact)->content.get());
      EXPECT_TRUE(tried[name].contains(content)) << "bytes that nobody published: " << name << where;
      if (const auto exact = told.exact.find(name); exact != told.exact.end()) {
        EXPECT_EQ(content, exact->second) << where;
      }
    }
    for (const std::string& blob : told.blobs) {
      const auto found = store.get_blob(sha256(blob));
      EXPECT_TRUE(found && *found && text_of((*found)->get()) == blob) << blob << where;
    }
  }

  // After any accident: the store opens, says the truth, and takes everything again.
  void recover(FaultFileSystem& files, const Acknowledged& told, const std::string& where) {
    {
      auto store = open(files);
      ASSERT_TRUE(store) << store.error().message << where;
      check(**store, told, where);
      EXPECT_TRUE(files.list("/state/cache/tmp.v1")->empty()) << where;
    }
    Acknowledged again = told;
    script(files, again);
    EXPECT_EQ(again.contents.size(), 3U) << "a publish was refused after the accident" << where;
    auto store = open(files);
    ASSERT_TRUE(store);
    check(**store, again, where);
  }

  const SigningKey signer = *SigningKey::generate();
  std::map<std::string, std::set<std::string>> tried;
};

TEST_F(StoreCrashTest, ProcessKilledAtEveryOperationThenReopened) {
  bool completed = false;
  for (std::uint64_t stop = 1; !completed; ++stop) {
    FaultFileSystem files;
    Acknowledged told;
    files.stop_at(stop);
    script(files, told);
    completed = !files.stopped();
    files.restart();
    recover(files, told, " stop " + std::to_string(stop));
  }
}

TEST_F(StoreCrashTest, PowerLostAtEveryOperationThenReopened) {
  bool completed = false;
  for (std::uint64_t stop = 1; !completed; ++stop) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      FaultFileSystem files;
      Acknowledged told;
      files.stop_at(stop);
      script(files, told);
      completed = !files.stopped();
      files.lose_power(stop * kSeeds + seed);
      recover(files, told, " stop " + std::to_string(stop) + " seed " + std::to_string(seed));
    }
  }
}

// A process dies between rename and fsync; the next one finds the file, acknowledges it, and then power goes.
TEST_F(StoreCrashTest, ProcessKilledThenAcknowledgedAgainThenPowerLost) {
  bool completed = false;
  for (std::uint64_t stop = 1; !completed; ++stop) {
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      FaultFileSystem files;
      Acknowledged told;
      files.stop_at(stop);
      script(files, told);
      completed = !files.stopped();
      files.restart();
      script(files, told);
      files.lose_power(stop * kSeeds + seed);
      recover(files, told, " stop " + std::to_string(stop) + " seed " + std::to_string(seed));
    }
  }
}

TEST_F(StoreCrashTest, PowerLostAgainWhileRecovering) {
  for (std::uint64_t first = 5; first < 60; first += 17) {
    bool completed = false;
    for (std::uint64_t second = 1; !completed; ++second) {
      FaultFileSystem files;
      Acknowledged told;
      files.stop_at(first);
      script(files, told);
      files.lose_power(first);
      files.stop_at(second);
      script(files, told);
      completed = !files.stopped();
      files.lose_power(second);
      recover(files, told, " stops " + std::to_string(first) + ", " + std::to_string(second));
    }
  }
}

}  // namespace
}  // namespace kiln::cache
