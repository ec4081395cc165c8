// Real processes on a real file system, killed with -9 at every operation and at random instants.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <random>

#include "base/process.h"
#include "cache_store/disk_store.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"
#include "tests/cache_store/killed_publisher.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;
using test::built_content;
using test::key_name;
using test::key_of;

constexpr int kUnknownRun = -1;  // acknowledged as there, whoever stored it
constexpr int kKeys = 2;
constexpr int kRandomRounds = 40;
constexpr int kOperationsMax = 400;

struct Publisher {
  ChildProcess process;
  UniqueFd output;
};

Publisher start(const std::string& state, int run, int first, int count, long kill_at) {
  Pipe pipe = *make_pipe();
  SpawnOptions options;
  options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/killed_publisher", state, std::to_string(run),
                  std::to_string(first), std::to_string(count), std::to_string(kill_at)};
  options.stdout_fd = pipe.write_end.get();
  options.stderr_fd = 2;
  auto child = ChildProcess::spawn(options);
  EXPECT_TRUE(child) << child.error().message;
  return {std::move(*child), std::move(pipe.read_end)};
}

// One acknowledgement; false when the publisher has ended.
bool read_line(int fd, std::string& line) {
  line.clear();
  char c = 0;
  while (true) {
    const auto n = read_fully(fd, std::as_writable_bytes(std::span(&c, 1)));
    if (!n || *n == 0) return false;
    if (c == '\n') return true;
    line.push_back(c);
  }
}

class StoreKillTest : public ::testing::Test {
 protected:
  void note(const std::string& line, int run) {
    const std::size_t space = line.find(' ');
    const int index = std::stoi(line.substr(space + 1));
    if (line.starts_with("stored")) {
      EXPECT_TRUE(acknowledged[index] == kUnknownRun || !stored_by.contains(index)) << "stored twice: " << line;
      acknowledged[index] = stored_by[index] = run;
    } else {
      acknowledged.emplace(index, kUnknownRun);
    }
  }
  // Every acknowledged key is there with the bytes of the run that stored it; any other key is absent or whole.
  void check(const std::string& state, int keys, int runs) {
    const auto signer = SigningKey::load_or_create(posix_file_system(), state + "/signing_key");
    ASSERT_TRUE(signer) << signer.error().message;
    DiskStoreOptions options;
    options.root = state + "/cache";
    options.trusted = test::trusting(*signer);
    const auto store = open_disk_store(posix_file_system(), std::move(options));
    ASSERT_TRUE(store) << store.error().message;
    for (int i = 0; i < keys; ++i) {
      const auto artifact = (*store)->find(key_of(key_name(i)));
      ASSERT_TRUE(artifact) << artifact.error().message;
      if (!*artifact) {
        EXPECT_FALSE(acknowledged.contains(i)) << "acknowledged, then lost: " << key_name(i);
        continue;
      }
      const std::string content = test::text_of((*artifact)->content.get());
      bool known = false;
      for (int run = 0; run <= runs; ++run) known = known || content == built_content(key_name(i), run);
      EXPECT_TRUE(known) << "bytes that nobody published";
      if (const auto by = stored_by.find(i); by != stored_by.end()) {
        EXPECT_EQ(content, built_content(key_name(i), by->second));
      }
    }
    EXPECT_EQ((*store)->stats().verify_failures + (*store)->stats().signature_failures, 0U);
    EXPECT_TRUE(posix_file_system().list(state + "/cache/tmp.v1")->empty());
  }
  std::map<int, int> acknowledged;  // key -> run that stored it, or kUnknownRun
  std::map<int, int> stored_by;
};

TEST_F(StoreKillTest, KilledAtEveryOperationNothingAcknowledgedIsLostAndTheNextRunCompletes) {
  bool completed = false;
  int operation = 1;
  for (; !completed && operation < kOperationsMax; ++operation) {
    const TempFolder state;
    acknowledged.clear();
    stored_by.clear();
    std::string line;
    Publisher first = start(state / "s", 0, 0, kKeys, operation);
    while (read_line(first.output.get(), line)) note(line, 0);
    const ExitStatus ended = *first.process.wait();
    completed = ended.ok();
    ASSERT_TRUE(ended.ok() || ended.signal == SIGKILL) << ended.describe();
    ASSERT_TRUE(make_directories(posix_file_system(), state / "s"));
    check(state / "s", kKeys, 0);
    Publisher second = start(state / "s", 1, 0, kKeys, 0);
    while (read_line(second.output.get(), line)) note(line, 1);
    ASSERT_TRUE(second.process.wait()->ok());
    EXPECT_EQ(acknowledged.size(), static_cast<std::size_t>(kKeys));
    check(state / "s", kKeys, 1);
  }
  EXPECT_GT(operation, 30) << "the script became too short to mean anything";
  EXPECT_TRUE(completed);
}

TEST_F(StoreKillTest, KilledAtRandomInstantsNothingAcknowledgedIsLost) {
  const TempFolder state;
  std::mt19937_64 random(5);
  int next_key = 0;
  for (int round = 0; round < kRandomRounds; ++round) {
    // Begins at a key whose fate is unknown, so that half-made entries are met again.
    Publisher publisher = start(state / "s", round, next_key, 0, 0);
    std::string line;
    for (std::uint64_t wanted = random() % 5; wanted > 0 && read_line(publisher.output.get(), line); --wanted) {
      note(line, round);
      ++next_key;
    }
    publisher.process.kill_and_wait();
    while (read_line(publisher.output.get(), line)) {  // acknowledged before it died
      note(line, round);
      ++next_key;
    }
    ASSERT_TRUE(make_directories(posix_file_system(), state / "s"));
    check(state / "s", next_key + 1, round);
  }
  EXPECT_GT(next_key, kRandomRounds / 2);
}

TEST_F(StoreKillTest, ASecondProcessOnTheSameStateIsRefused) {
  const TempFolder state;
  Publisher first = start(state / "s", 0, 0, 0, 0);
  std::string line;
  ASSERT_TRUE(read_line(first.output.get(), line));  // it has the lock
  DiskStoreOptions options;
  options.root = state / "s/cache";
  const auto second = open_disk_store(posix_file_system(), options);
  ASSERT_FALSE(second);
  EXPECT_EQ(exit_code(second.error()), 75);
  EXPECT_NE(second.error().message.find(std::to_string(first.process.pid())), std::string::npos);
  first.process.kill_and_wait();
  EXPECT_TRUE(open_disk_store(posix_file_system(), options)) << "the lock died with its holder";
}

}  // namespace
}  // namespace kiln::cache
