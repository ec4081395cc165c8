#include "coordinator/journal/journal.h"

#include <sqlite3.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/base/temp_folder.h"
#include "tests/coordinator/journal/fault_vfs.h"
#include "tests/coordinator/journal/journal_fixture.h"

namespace kiln::coordinator {
namespace {

using kiln::test::TempFolder;
using test::expect_whole;
using test::kFaultVfs;
using test::numbered_batch;
using test::open_journal;
using test::read_facts;
using test::VfsFault;
using test::wait_durable;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    test::register_fault_vfs();
    test::clear_vfs_fault();
  }
  ~JournalTest() override {
    test::release_syncs();
    test::clear_vfs_fault();
  }
  Error refusal() const {
    JournalOptions options;
    options.folder = path();
    const auto journal = Journal::open(posix_file_system(), options);
    EXPECT_FALSE(journal);
    return journal ? Error{} : journal.error();
  }
  void change_database(const std::string& sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((path() + "/journal.db").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  std::string path() const { return folder_ / "state/journal"; }

  TempFolder folder_;
};

TEST_F(JournalTest, FactsAreThereAgainInTheirOrder) {
  {
    const auto journal = open_journal(path());
    EXPECT_EQ(journal->durable_sequence(), 0U);
    EXPECT_EQ(journal->append(numbered_batch(1, 3)).value(), 3U);
    EXPECT_EQ(journal->append(numbered_batch(4, 1)).value(), 4U);
    EXPECT_EQ(journal->append({}).value(), 4U);
    EXPECT_TRUE(wait_durable(*journal, 4));
  }
  const auto journal = open_journal(path());
  EXPECT_EQ(journal->durable_sequence(), 4U);
  const auto facts = read_facts(*journal);
  ASSERT_EQ(facts.size(), 4U);
  expect_whole(facts);
  EXPECT_EQ(read_facts(*journal, 3).size(), 2U);
  EXPECT_TRUE(read_facts(*journal, 5).empty());
  EXPECT_EQ(journal->append(numbered_batch(5, 1)).value(), 5U);
}

TEST_F(JournalTest, WhatWasAppendedIsWrittenBeforeItCloses) {
  {
    const auto journal = open_journal(path());
    for (std::uint64_t i = 1; i <= 500; ++i) ASSERT_TRUE(journal->append(numbered_batch(i, 1)));
  }
  EXPECT_EQ(open_journal(path())->durable_sequence(), 500U);
}

TEST_F(JournalTest, FactsMayBeEmptyOrBinary) {
  {
    const auto journal = open_journal(path());
    ASSERT_TRUE(journal->append({"", std::string("\0\xff\0", 3)}));
  }
  const auto facts = read_facts(*open_journal(path()));
  ASSERT_EQ(facts.size(), 2U);
  EXPECT_EQ(facts[0].body, "");
  EXPECT_EQ(facts[1].body, std::string("\0\xff\0", 3));
}

TEST_F(JournalTest, AFactBeyondTheBoundIsRefusedAndNothingElse) {
  const auto journal = open_journal(path());
  EXPECT_FALSE(journal->append({"small", std::string(kJournalFactBytesMax + 1, 'x')}));
  EXPECT_EQ(journal->append({"small"}).value(), 1U);
}

// The first commit waits for the disk; all that is appended meanwhile goes into the next one.
TEST_F(JournalTest, WhatWaitsIsCommittedTogether) {
  const auto journal = open_journal(path(), kFaultVfs);
  test::hold_syncs();
  ASSERT_TRUE(journal->append(numbered_batch(1, 1)));
  test::wait_for_held_sync();
  for (std::uint64_t i = 2; i <= 2'001; ++i) ASSERT_TRUE(journal->append(numbered_batch(i, 1)));
  EXPECT_EQ(journal->durable_sequence(), 0U) << "acknowledged before it was on disk";
  test::release_syncs();
  ASSERT_TRUE(wait_durable(*journal, 2'001));
  const JournalStats stats = journal->stats();
  EXPECT_EQ(stats.transactions, 2U);
  EXPECT_EQ(stats.batches, 2'001U);
  EXPECT_EQ(stats.facts, 2'001U);
  EXPECT_EQ(stats.largest_transaction, 2'000U);
}

TEST_F(JournalTest, ATransactionIsBoundedButKeepsBatchesWhole) {
  const auto journal = open_journal(path(), kFaultVfs);
  test::hold_syncs();
  ASSERT_TRUE(journal->append({"first"}));
  test::wait_for_held_sync();
  const std::vector<std::string> batch(kTransactionFactsMax - 1, "fact");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(journal->append(batch));
  test::release_syncs();
  ASSERT_TRUE(wait_durable(*journal, 1 + 3 * batch.size()));
  EXPECT_EQ(journal->stats().transactions, 4U);
  EXPECT_EQ(journal->stats().largest_transaction, batch.size());
  EXPECT_EQ(journal->stats().commits_full, 2U);
}

TEST_F(JournalTest, AFullQueueMakesTheAppenderWait) {
  JournalOptions options;
  options.folder = path();
  options.vfs = kFaultVfs;
  options.queue_facts_max = 10;
  auto journal = Journal::open(posix_file_system(), options).value();
  test::hold_syncs();
  ASSERT_TRUE(journal->append(numbered_batch(1, 1)));
  test::wait_for_held_sync();  // the first is no more in the queue
  ASSERT_TRUE(journal->append(numbered_batch(2, 10)));
  std::thread appender([&] { EXPECT_EQ(journal->append(numbered_batch(12, 1)).value(), 12U); });
  while (journal->stats().queue_full == 0) std::this_thread::yield();
  test::release_syncs();
  appender.join();
  ASSERT_TRUE(wait_durable(*journal, 12));
  EXPECT_EQ(journal->stats().queue_full, 1U);
}

TEST_F(JournalTest, AFullDiskIsOneClearLineAndLosesNothing) {
  std::uint64_t acknowledged = 0;
  {
    JournalOptions options;
    options.folder = path();
    options.pages_max = 40;
    auto journal = Journal::open(posix_file_system(), options).value();
    std::uint64_t next = 1;
    while (wait_durable(*journal, next - 1)) {
      if (!journal->append(numbered_batch(next, 5))) break;
      next += 5;
      ASSERT_LT(next, 10'000U);
    }
    acknowledged = journal->durable_sequence();
    EXPECT_GT(acknowledged, 50U);
    EXPECT_EQ(acknowledged % 5, 0U);
    const Status status = journal->status();
    ASSERT_FALSE(status);
    EXPECT_EQ(exit_code(status.error()), 74);
    EXPECT_NE(status.error().message.find("No space left"), std::string::npos) << status.error().message;
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
    EXPECT_FALSE(journal->append({"more"})) << "a journal that failed takes nothing more";
    EXPECT_EQ(journal->durable_sequence(), acknowledged);
  }
  const auto journal = open_journal(path());
  EXPECT_EQ(journal->durable_sequence(), acknowledged);
  expect_whole(read_facts(*journal));
  ASSERT_TRUE(journal->append(numbered_batch(acknowledged + 1, 2)));
  EXPECT_TRUE(wait_durable(*journal, acknowledged + 2)) << "and goes on when there is room again";
}

TEST_F(JournalTest, NoErrorOfTheDiskIsEverAcknowledged) {
  for (const VfsFault fault : {VfsFault::kDiskFull, VfsFault::kWriteError, VfsFault::kSyncError}) {
    for (std::uint64_t operation = 1; operation <= 6; ++operation) {
      const TempFolder folder;
      std::uint64_t acknowledged = 0;
      {
        const auto journal = open_journal(folder / "j", kFaultVfs);
        ASSERT_TRUE(journal->append(numbered_batch(1, 4)));
        ASSERT_TRUE(wait_durable(*journal, 4));
        test::set_vfs_fault(fault, operation);
        std::uint64_t next = 5;
        while (wait_durable(*journal, next - 1) && journal->append(numbered_batch(next, 4))) next += 4;
        acknowledged = journal->durable_sequence();
        EXPECT_EQ(exit_code(journal->status().error()), 74) << journal->status().error().message;
        test::clear_vfs_fault();
      }
      const auto journal = open_journal(folder / "j");
      EXPECT_GE(journal->durable_sequence(), acknowledged);
      expect_whole(read_facts(*journal));
    }
  }
}

TEST_F(JournalTest, ANewerFormatIsRefusedNamingBoth) {
  open_journal(path()).reset();
  change_database("PRAGMA user_version = 2");
  const Error error = refusal();
  EXPECT_EQ(exit_code(error), 7);
  EXPECT_NE(error.message.find("has format 2; this program reads formats 1 to 1"), std::string::npos) << error.message;
}

TEST_F(JournalTest, ADatabaseOfAnotherProgramIsRefusedAndLeftAlone) {
  open_journal(path()).reset();
  change_database("PRAGMA application_id = 77; CREATE TABLE mine (a); PRAGMA journal_mode = DELETE");
  EXPECT_EQ(exit_code(refusal()), 65);
  change_database("SELECT count(*) FROM mine");
}

TEST_F(JournalTest, DamageIsSaidWithWhatToDo) {
  {
    const auto journal = open_journal(path());
    for (std::uint64_t i = 1; i <= 400; ++i) ASSERT_TRUE(journal->append(numbered_batch(i, 1)));
  }
  const std::string file = path() + "/journal.db";
  const auto size = std::filesystem::file_size(file);
  for (const std::uintmax_t cut : {size / 2, std::uintmax_t{5'000}, std::uintmax_t{100}}) {
    std::filesystem::resize_file(file, cut);
    const Error error = refusal();
    EXPECT_EQ(exit_code(error), 74) << error.message;
    EXPECT_NE(error.message.find("is damaged"), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("move the folder away"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  }
  std::ofstream(file, std::ios::trunc) << std::string(3'000, 'x');
  EXPECT_NE(refusal().message.find("is damaged"), std::string::npos);
}

TEST_F(JournalTest, AFactWithOtherBytesOrInAnotherPlaceIsFound) {
  {
    const auto journal = open_journal(path());
    ASSERT_TRUE(journal->append(numbered_batch(1, 9)));
  }
  const auto expect_damage = [&](const std::string& sql, const std::string& why) {
    change_database(sql);
    const auto journal = open_journal(path());
    const Status status = journal->read_all(1, [](std::uint64_t, std::string_view) { return Status(); });
    ASSERT_FALSE(status) << sql;
    EXPECT_EQ(exit_code(status.error()), 74);
    EXPECT_NE(status.error().message.find(why), std::string::npos) << status.error().message;
  };
  expect_damage("UPDATE facts SET body = x'00' WHERE sequence = 7", "fact 7 has other bytes");
  expect_damage("DELETE FROM facts WHERE sequence = 5", "fact 5 is missing");
  expect_damage("UPDATE facts SET sequence = 5 WHERE sequence = 6", "fact 5 has other bytes");
  expect_damage("DELETE FROM facts WHERE sequence = 1", "fact 1 is missing");
}

TEST_F(JournalTest, TheReaderMayEndTheReading) {
  const auto journal = open_journal(path());
  ASSERT_TRUE(journal->append(numbered_batch(1, 9)));
  ASSERT_TRUE(wait_durable(*journal, 9));
  int seen = 0;
  const Status status = journal->read_all(1, [&](std::uint64_t, std::string_view) -> Status {
    if (++seen < 3) return {};
    return fail(make_error(ErrorCode::kCancelled, "enough"));
  });
  EXPECT_EQ(status.error().message, "enough");
  EXPECT_EQ(seen, 3);
}

TEST_F(JournalTest, ASecondOpenerIsRefused) {
  const auto journal = open_journal(path());
  const Error error = refusal();
  EXPECT_EQ(exit_code(error), 75);
  EXPECT_NE(error.message.find(std::to_string(::getpid())), std::string::npos) << error.message;
}

}  // namespace
}  // namespace kiln::coordinator
