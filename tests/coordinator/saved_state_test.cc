// Snapshots as the coordinator takes and reads them, on a real disk.
#include "coordinator/saved_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "coordinator/core/farm_step.h"
#include "coordinator/durable_snapshot.h"
#include "net/farm_codec.h"
#include "tests/base/stopping_file_system.h"
#include "tests/base/temp_folder.h"
#include "tests/coordinator/farm_env.h"
#include "tests/coordinator/journal/journal_fixture.h"
#include "tests/net/farm/fact_samples.h"

namespace kiln::coordinator::test {
namespace {

using kiln::test::StoppingFileSystem;
using kiln::test::TempFolder;

// The facts of a job from its submission to its end, and of one that is at work.
std::vector<net::Fact> facts_of_a_farm() {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a", 2));
  farm.submit(JobBuilder("done"));
  farm.run_to_end();
  farm.submit(JobBuilder("open"));
  farm.finish("a", farm.take_assign("a"));
  return farm.journal;
}

class SavedStateTest : public ::testing::Test {
 protected:
  SavedStateTest() : facts_(facts_of_a_farm()) {
    for (const net::Fact& fact : facts_) apply_fact(whole_, fact);
  }
  Durable state_at(std::uint64_t sequence) const {
    Durable out;
    for (std::uint64_t i = 0; i < sequence; ++i) apply_fact(out, facts_[i]);
    return out;
  }
  // All facts, with a snapshot after each of these.
  void build(const std::string& folder, const std::vector<std::uint64_t>& snapshots) const {
    const auto journal = open_journal(folder);
    std::uint64_t written = 0;
    for (const std::uint64_t at : snapshots) {
      append(*journal, written, at);
      written = at;
      const Status saved = journal->write_snapshot(at, encode_durable(state_at(at)));
      ASSERT_TRUE(saved) << saved.error().message;
    }
    append(*journal, written, facts_.size());
  }
  void append(Journal& journal, std::uint64_t from, std::uint64_t to) const {
    std::vector<std::string> bytes;
    for (std::uint64_t i = from; i < to; ++i) bytes.push_back(net::encode(facts_[i]));
    ASSERT_TRUE(journal.append(bytes));
    ASSERT_TRUE(journal.flush());
  }
  void expect_whole_state(const std::string& folder, std::uint64_t snapshot, std::uint64_t damaged = 0) const {
    const auto journal = open_journal(folder);
    const auto state = load_state(*journal);
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_EQ(state->durable, whole_);
    EXPECT_EQ(state->sequence, facts_.size());
    EXPECT_EQ(state->snapshot, snapshot);
    EXPECT_EQ(state->damaged, damaged);
  }
  static void damage(const std::string& folder, std::uint64_t sequence) {
    std::fstream file(folder + fmt::format("/snapshot-{:020}", sequence), std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file);
    file.seekp(-1, std::ios::end);
    file.put('#');
  }

  std::vector<net::Fact> facts_;
  Durable whole_;
  TempFolder folder_;
};

// Journals and snapshots of released formats are read for ever. make_golden_journal wrote them.
TEST(GoldenSnapshotTest, Format1GivesTheStateOfItsJournal) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "j");
  const std::string golden = std::string(std::getenv("KILN_SOURCE_DIR")) + "/tests/golden/";
  std::filesystem::copy_file(golden + "journal_v1.db", folder / "j/journal.db");
  Durable of_facts;
  const auto samples = net::test::fact_samples();
  for (const auto& sample : samples) apply_fact(of_facts, sample.second);
  const auto without = load_state(*open_journal(folder / "j"));
  ASSERT_TRUE(without) << without.error().message;
  EXPECT_EQ(without->durable, of_facts);
  std::filesystem::copy_file(golden + "snapshot_v1", folder / "j" + fmt::format("/snapshot-{:020}", samples.size()));
  const auto with = load_state(*open_journal(folder / "j"));
  ASSERT_TRUE(with) << with.error().message;
  EXPECT_EQ(with->snapshot, samples.size());
  EXPECT_EQ(with->damaged, 0U);
  EXPECT_EQ(with->durable, of_facts);
}

TEST_F(SavedStateTest, WithoutASnapshotAllFactsAreRead) {
  build(folder_ / "j", {});
  expect_whole_state(folder_ / "j", 0);
}

TEST_F(SavedStateTest, TheNewestSnapshotAndTheFactsBehindItGiveTheSame) {
  build(folder_ / "j", {5, 9, 14});
  expect_whole_state(folder_ / "j", 14);
}

TEST_F(SavedStateTest, ADamagedOneIsPassedOverAndThenAllFacts) {
  build(folder_ / "j", {9});
  damage(folder_ / "j", 9);
  expect_whole_state(folder_ / "j", 0, 1);
  build(folder_ / "k", {5, 9});
  damage(folder_ / "k", 9);
  expect_whole_state(folder_ / "k", 5, 1);
}

// Whole as a file, but no state: as if a program had written something else.
TEST_F(SavedStateTest, OneThatHoldsNoStateIsPassedOver) {
  build(folder_ / "j", {5});
  {
    const auto journal = open_journal(folder_ / "j");
    ASSERT_TRUE(journal->newest_snapshot());
    ASSERT_TRUE(journal->write_snapshot(9, "no state at all"));
  }
  expect_whole_state(folder_ / "j", 5, 1);
}

TEST_F(SavedStateTest, KilledBetweenAnyTwoOperationsOfASnapshotNothingIsLost) {
  std::uint64_t operation = 1;
  for (bool stopped = true; stopped; ++operation) {
    const TempFolder folder;
    build(folder / "j", {5, 9});
    StoppingFileSystem files;
    {
      JournalOptions options;
      options.folder = folder / "j";
      auto journal = Journal::open(files, options);
      ASSERT_TRUE(journal) << journal.error().message;
      ASSERT_TRUE((*journal)->newest_snapshot());
      files.stop_at(operation);
      (void)(*journal)->write_snapshot(14, encode_durable(state_at(14)));
      stopped = files.stopped();
    }
    const auto journal = open_journal(folder / "j");
    const auto state = load_state(*journal);
    ASSERT_TRUE(state) << "operation " << operation << ": " << state.error().message;
    ASSERT_EQ(state->durable, whole_) << "operation " << operation;
    ASSERT_EQ(state->damaged, 0U);
    ASSERT_GE(state->snapshot, 9U);
    ASSERT_TRUE(stopped || state->snapshot == 14U);
  }
  EXPECT_GT(operation, 4U) << "create, sync, rename, sync of the folder, removal of the oldest";
}

TEST_F(SavedStateTest, TheKeeperWritesWhenEnoughFactsCameAndWhatItWritesIsTheState) {
  const auto journal = open_journal(folder_ / "j");
  SnapshotKeeper keeper(*journal, 10, 0);
  append(*journal, 0, facts_.size());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (keeper.stats().written == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(keeper.stats().sequence, facts_.size());
  ASSERT_TRUE(keeper.finish(whole_));
  EXPECT_EQ(keeper.stats().written, 1U) << "nothing new came: none at the end";
  const auto search = journal->newest_snapshot();
  ASSERT_TRUE(search && search->newest);
  EXPECT_EQ(search->newest->bytes, encode_durable(whole_));
}

TEST_F(SavedStateTest, ACleanEndSavesWhatIsWorthIt) {
  const auto journal = open_journal(folder_ / "j");
  append(*journal, 0, facts_.size());
  {
    SnapshotKeeper keeper(*journal, 1'000'000, 0);
    ASSERT_TRUE(keeper.finish(whole_));
    EXPECT_EQ(keeper.stats().written, 0U) << facts_.size() << " facts are read at once";
  }
  const std::string drained = net::encode(net::Fact(net::WorkerDrained{"a", true}));
  apply_fact(whole_, net::WorkerDrained{"a", true});
  ASSERT_TRUE(journal->append(std::vector<std::string>(kSnapshotFactsAtStop, drained)));
  SnapshotKeeper keeper(*journal, 1'000'000, 0);
  ASSERT_TRUE(keeper.finish(whole_));
  EXPECT_EQ(keeper.stats().written, 1U);
  const auto state = load_state(*journal);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->snapshot, facts_.size() + kSnapshotFactsAtStop);
  EXPECT_EQ(state->durable, whole_);
}

}  // namespace
}  // namespace kiln::coordinator::test
