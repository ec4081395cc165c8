#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/base/temp_folder.h"
#include "tests/coordinator/journal/journal_fixture.h"

namespace kiln::coordinator {
namespace {

using kiln::test::TempFolder;
using test::expect_whole;
using test::numbered_batch;
using test::open_journal;
using test::read_facts;
using test::wait_durable;

class JournalSnapshotTest : public ::testing::Test {
 protected:
  // Facts up to `last`, one by one.
  void append_to(Journal& journal, std::uint64_t last) {
    for (std::uint64_t i = journal.durable_sequence() + 1; i <= last; ++i) ASSERT_TRUE(journal.append(numbered_batch(i, 1)));
    ASSERT_TRUE(wait_durable(journal, last));
  }
  std::vector<std::string> snapshot_files() const {
    std::vector<std::string> found;
    const auto names = posix_file_system().list(path());
    for (const std::string& name : *names) {
      if (name.starts_with("snapshot-")) found.push_back(path() + "/" + name);
    }
    return found;
  }
  // The number of the first fact that is still there.
  static std::uint64_t first_fact(Journal& journal) {
    for (std::uint64_t from = 1; from <= journal.durable_sequence(); ++from) {
      const Status status = journal.read_all(from, [](std::uint64_t, std::string_view) -> Status {
        return fail(make_error(ErrorCode::kCancelled, "found"));
      });
      if (status.error().message == "found") return from;
    }
    return 0;
  }
  void three_snapshots() {
    const auto journal = open_journal(path());
    for (const std::uint64_t at : {100U, 200U, 300U}) {
      append_to(*journal, at);
      const Status status = journal->write_snapshot(at, fmt::format("state {}", at));
      ASSERT_TRUE(status) << status.error().message;
    }
    append_to(*journal, 310);
  }
  static void damage(const std::string& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-1, std::ios::end);
    stream.put('#');
  }
  std::string path() const { return folder_ / "journal"; }

  TempFolder folder_;
};

TEST_F(JournalSnapshotTest, ARestartTakesTheNewestAndTheFactsBehindIt) {
  three_snapshots();
  const auto journal = open_journal(path());
  const auto search = journal->newest_snapshot();
  ASSERT_TRUE(search) << search.error().message;
  ASSERT_TRUE(search->newest);
  EXPECT_EQ(search->newest->sequence, 300U);
  EXPECT_EQ(search->newest->bytes, "state 300");
  EXPECT_TRUE(search->damaged.empty());
  const auto facts = read_facts(*journal, 301);
  ASSERT_EQ(facts.size(), 10U);
  expect_whole(facts, 301);
}

TEST_F(JournalSnapshotTest, TwoAreKeptAndFactsThatNeitherNeedsGo) {
  three_snapshots();
  EXPECT_EQ(snapshot_files().size(), 2U);
  const auto journal = open_journal(path());
  EXPECT_EQ(first_fact(*journal), 201U);
}

TEST_F(JournalSnapshotTest, ADamagedOneIsPassedOverForTheOneBeforeIt) {
  three_snapshots();
  damage(snapshot_files().back());
  const auto journal = open_journal(path());
  const auto search = journal->newest_snapshot();
  ASSERT_TRUE(search) << search.error().message;
  EXPECT_EQ(search->newest->sequence, 200U);
  ASSERT_EQ(search->damaged.size(), 1U);
  EXPECT_NE(search->damaged[0].find("has other bytes"), std::string::npos) << search->damaged[0];
  EXPECT_EQ(read_facts(*journal, 201).size(), 110U) << "the facts behind it are still there";
  ASSERT_TRUE(journal->write_snapshot(310, "state 310"));
  ASSERT_TRUE(journal->append(numbered_batch(311, 1)));
  ASSERT_TRUE(wait_durable(*journal, 311));
  EXPECT_EQ(snapshot_files().size(), 2U) << "the damaged one is gone";
  EXPECT_EQ(first_fact(*journal), 201U) << "facts that the whole one needs are kept";
}

TEST_F(JournalSnapshotTest, WithoutAWholeOneFactsThatWereRemovedAreDamage) {
  three_snapshots();
  for (const std::string& file : snapshot_files()) damage(file);
  const auto journal = open_journal(path());
  const auto search = journal->newest_snapshot();
  ASSERT_TRUE(search);
  EXPECT_FALSE(search->newest);
  EXPECT_EQ(search->damaged.size(), 2U);
  const Status status = journal->read_all(1, [](std::uint64_t, std::string_view) { return Status(); });
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 74);
  EXPECT_NE(status.error().message.find("fact 1 is missing"), std::string::npos) << status.error().message;
}

TEST_F(JournalSnapshotTest, EveryKindOfDamageIsFound) {
  for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
           {"", "it has no header"},
           {"something else entirely\n", "it has no header"},
           {"kiln-snapshot 1 299 9 0\nstate 300", "its header is not that of its name"},
           {"kiln-snapshot 1 300 900 0\nstate 300", "it is cut off"},
           {"kiln-snapshot 1 300 9 00\nstate 300", "it has other bytes"}}) {
    const TempFolder folder;
    JournalSnapshots snapshots(posix_file_system(), folder.path());
    std::ofstream(folder / "snapshot-00000000000000000300") << text;
    const auto search = snapshots.find_newest();
    ASSERT_TRUE(search) << search.error().message;
    ASSERT_EQ(search->damaged.size(), 1U) << text;
    EXPECT_NE(search->damaged[0].find(why), std::string::npos) << search->damaged[0];
  }
}

TEST_F(JournalSnapshotTest, ANewerFormatIsRefusedNamingBoth) {
  three_snapshots();
  std::ofstream(snapshot_files().back(), std::ios::trunc) << "kiln-snapshot 2 300 9 xyz other\nstate 300";
  const auto search = open_journal(path())->newest_snapshot();
  ASSERT_FALSE(search) << "an older one is no substitute for a newer program's state";
  EXPECT_EQ(exit_code(search.error()), 7);
  EXPECT_NE(search.error().message.find("has format 2; this program reads formats 1 to 1"), std::string::npos);
}

TEST_F(JournalSnapshotTest, OfFactsThatAreNotDurableThereIsNone) {
  const auto journal = open_journal(path());
  append_to(*journal, 3);
  EXPECT_FALSE(journal->write_snapshot(4, "ahead"));
  EXPECT_FALSE(journal->write_snapshot(0, "of nothing"));
  EXPECT_TRUE(journal->write_snapshot(3, "now"));
  EXPECT_FALSE(journal->write_snapshot(3, "again"));
  EXPECT_EQ(journal->stats().snapshots, 1U);
}

TEST_F(JournalSnapshotTest, OneThatIsAheadOfTheFactsIsDamage) {
  three_snapshots();
  std::filesystem::remove(path() + "/journal.db");
  const auto search = open_journal(path())->newest_snapshot();
  ASSERT_FALSE(search);
  EXPECT_EQ(exit_code(search.error()), 74);
  EXPECT_NE(search.error().message.find("a snapshot holds facts up to 300, the journal up to 0"), std::string::npos)
      << search.error().message;
}

TEST_F(JournalSnapshotTest, ManyFactsGoLittleByLittle) {
  const auto journal = open_journal(path());
  const std::vector<std::string> batch(10'000, "fact");
  ASSERT_TRUE(journal->append(batch));
  ASSERT_TRUE(wait_durable(*journal, 10'000));
  ASSERT_TRUE(journal->write_snapshot(9'999, "almost all"));
  ASSERT_TRUE(journal->write_snapshot(10'000, "all"));
  ASSERT_TRUE(wait_durable(*journal, journal->append({"one more"}).value()));
  while (journal->stats().pruned < 9'999) std::this_thread::yield();
  EXPECT_GE(journal->stats().transactions, 1 + 9'999 / kPruneRowsMax);
  EXPECT_EQ(journal->stats().prunes_full, 9'999 / kPruneRowsMax);
  EXPECT_EQ(first_fact(*journal), 10'000U);
}

// The numbers go on even when every fact but the last has been removed.
TEST_F(JournalSnapshotTest, NumbersAreNeverUsedAgain) {
  {
    const auto journal = open_journal(path());
    append_to(*journal, 10);
    ASSERT_TRUE(journal->write_snapshot(9, "nine"));
    ASSERT_TRUE(journal->write_snapshot(10, "ten"));
    while (journal->stats().pruned < 9) std::this_thread::yield();
  }
  std::filesystem::remove(snapshot_files().back());
  const auto journal = open_journal(path());
  EXPECT_EQ(journal->durable_sequence(), 10U);
  EXPECT_EQ(journal->newest_snapshot()->newest->sequence, 9U);
  EXPECT_EQ(journal->append(numbered_batch(11, 1)).value(), 11U);
}

}  // namespace
}  // namespace kiln::coordinator
