// A process that writes a journal, killed with -9 at every operation and at random instants.
#include <csignal>
#include <cstdlib>
#include <random>

#include "base/process.h"
#include "tests/base/temp_folder.h"
#include "tests/coordinator/journal/journal_fixture.h"

namespace kiln::coordinator {
namespace {

using kiln::test::TempFolder;
using test::expect_whole;
using test::open_journal;
using test::read_facts;

constexpr int kRandomRounds = 25;
constexpr std::uint64_t kOperationsMax = 2'000;
constexpr std::uint64_t kEarlyOperations = 40;  // each; later ones are tried in steps
constexpr std::uint64_t kBatches = 24;

struct Writer {
  ChildProcess process;
  UniqueFd output;
};

Writer start(const std::string& folder, std::uint64_t seed, std::uint64_t kill_at, std::uint64_t batches) {
  Pipe pipe = *make_pipe();
  SpawnOptions options;
  options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/killed_journal", folder, std::to_string(seed),
                  std::to_string(kill_at), std::to_string(batches)};
  options.stdout_fd = pipe.write_end.get();
  options.stderr_fd = 2;
  auto child = ChildProcess::spawn(options);
  EXPECT_TRUE(child) << child.error().message;
  return {std::move(*child), std::move(pipe.read_end)};
}

// One line; false when the writer has ended.
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

struct Acknowledged {
  std::uint64_t durable = 0;
  std::uint64_t snapshot = 0;
  void note(const std::string& line) {
    const std::uint64_t number = std::stoull(line.substr(line.find(' ') + 1));
    if (line.starts_with("durable")) durable = number;
    if (line.starts_with("snapshot")) snapshot = number;
  }
};

// Everything acknowledged is there, whole; what was not may be there, whole as well.
void check(const std::string& folder, const Acknowledged& acknowledged) {
  const auto journal = open_journal(folder);
  ASSERT_NE(journal, nullptr);
  EXPECT_GE(journal->durable_sequence(), acknowledged.durable) << "acknowledged, then lost";
  const auto search = journal->newest_snapshot();
  ASSERT_TRUE(search) << search.error().message;
  EXPECT_TRUE(search->damaged.empty());
  const std::uint64_t snapshot = search->newest ? search->newest->sequence : 0;
  EXPECT_GE(snapshot, acknowledged.snapshot);
  if (search->newest) {
    EXPECT_EQ(search->newest->bytes, fmt::format("state {}", snapshot));
  }
  const auto facts = read_facts(*journal, snapshot + 1);
  EXPECT_EQ(snapshot + facts.size(), journal->durable_sequence());
  expect_whole(facts, snapshot + 1);
}

TEST(JournalKillTest, KilledAtEveryOperationNothingAcknowledgedIsLost) {
  bool completed = false;
  std::uint64_t operation = 1;
  std::uint64_t rounds = 0;
  for (; !completed && operation < kOperationsMax; operation += operation < kEarlyOperations ? 1 : 11) {
    const TempFolder folder;
    Acknowledged acknowledged;
    std::string line;
    Writer writer = start(folder / "j", 9, operation, kBatches);
    while (read_line(writer.output.get(), line)) acknowledged.note(line);
    const ExitStatus ended = *writer.process.wait();
    completed = ended.ok();
    ASSERT_TRUE(ended.ok() || ended.signal == SIGKILL) << ended.describe();
    check(folder / "j", acknowledged);
    ++rounds;
  }
  EXPECT_TRUE(completed);
  EXPECT_GT(rounds, kEarlyOperations) << "the script became too short to mean anything";
}

TEST(JournalKillTest, KilledAtRandomInstantsNothingAcknowledgedIsLost) {
  const TempFolder folder;
  std::mt19937_64 random(11);
  Acknowledged acknowledged;
  std::string line;
  for (std::uint64_t round = 0; round < kRandomRounds; ++round) {
    Writer writer = start(folder / "j", round, 0, 0);
    for (std::uint64_t wanted = random() % 25; wanted > 0 && read_line(writer.output.get(), line); --wanted) {
      acknowledged.note(line);
    }
    writer.process.kill_and_wait();
    while (read_line(writer.output.get(), line)) acknowledged.note(line);
    check(folder / "j", acknowledged);
  }
  EXPECT_GT(acknowledged.durable, 100U);
  EXPECT_GT(acknowledged.snapshot, 0U);
}

TEST(JournalKillTest, ASecondProcessIsRefusedUntilTheFirstIsGone) {
  const TempFolder folder;
  Writer first = start(folder / "j", 1, 0, 0);
  std::string line;
  ASSERT_TRUE(read_line(first.output.get(), line));
  JournalOptions options;
  options.folder = folder / "j";
  const auto second = Journal::open(posix_file_system(), options);
  ASSERT_FALSE(second);
  EXPECT_EQ(exit_code(second.error()), 75);
  EXPECT_NE(second.error().message.find(std::to_string(first.process.pid())), std::string::npos);
  Writer third = start(folder / "j", 1, 0, 1);
  EXPECT_EQ(third.process.wait()->exit_code, 75);
  first.process.kill_and_wait();
  EXPECT_TRUE(Journal::open(posix_file_system(), options));
}

}  // namespace
}  // namespace kiln::coordinator
