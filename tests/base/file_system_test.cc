#include "base/file_system.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/atomic_file.h"
#include "tests/base/fault_file_system.h"
#include "tests/base/temp_folder.h"

namespace kiln {
namespace {

using test::FaultFileSystem;
using test::TempFolder;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(FileSystemTest, CreateExclusiveRefusesATakenName) {
  const TempFolder folder;
  ASSERT_TRUE(posix_file_system().create_exclusive(folder / "a", 0600));
  const auto second = posix_file_system().create_exclusive(folder / "a", 0600);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
}

TEST(FileSystemTest, OpenForReadRefusesLinksFifosAndFolders) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "target", "x"));
  ASSERT_EQ(::symlink((folder / "target").c_str(), (folder / "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);  // must not wait for a writer either
  EXPECT_TRUE(posix_file_system().open_for_read(folder / "target"));
  EXPECT_FALSE(posix_file_system().open_for_read(folder / "link"));
  EXPECT_FALSE(posix_file_system().open_for_read(folder / "fifo"));
  EXPECT_FALSE(posix_file_system().open_for_read(folder.path()));
  EXPECT_EQ(posix_file_system().open_for_read(folder / "none").error().code, ErrorCode::kNotFound);
}

TEST(FileSystemTest, LockRefusesASecondHolderAndSaysWhoHoldsIt) {
  const TempFolder folder;
  auto first = posix_file_system().lock(folder / "lock");
  ASSERT_TRUE(first);
  const auto second = posix_file_system().lock(folder / "lock");
  ASSERT_FALSE(second);
  EXPECT_EQ(exit_code(second.error()), 75);
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos);
  first->reset();
  EXPECT_TRUE(posix_file_system().lock(folder / "lock"));
}

TEST(FileSystemTest, MakeDirectoriesMakesMissingParentsAndIsSafeToRepeat) {
  const TempFolder folder;
  ASSERT_TRUE(make_directories(posix_file_system(), folder / "a/b/c"));
  ASSERT_TRUE(make_directories(posix_file_system(), folder / "a/b/c"));
  EXPECT_TRUE(posix_file_system().stat(folder / "a/b/c")->is_directory);
  ASSERT_TRUE(write_file_atomic(folder / "file", "x"));
  EXPECT_FALSE(make_directories(posix_file_system(), folder / "file/below"));
}

TEST(FileSystemTest, ParentDirectoryOfEveryKindOfPath) {
  EXPECT_EQ(parent_directory("a/b"), "a");
  EXPECT_EQ(parent_directory("a"), ".");
  EXPECT_EQ(parent_directory("/a"), "/");
}

TEST(FileSystemTest, FullDeviceIsAnIoError) {
  // /dev/full answers every write with ENOSPC.
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.valid());
  const Status written = write_fully(full.get(), bytes_of("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(exit_code(written.error()), 74);
}

TEST(AtomicFileTest, ReplacesAndKeepsTheMode) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "a", "old"));
  ASSERT_TRUE(write_file_atomic(folder / "a", "new", 0600));
  EXPECT_EQ(*read_file(folder / "a", 100), "new");
  EXPECT_EQ(posix_file_system().stat(folder / "a")->mode, 0600U);
  EXPECT_EQ(posix_file_system().list(folder.path())->size(), 1U);
}

TEST(AtomicFileTest, HoldsOldOrNewBytesWhereverPowerIsLost) {
  const std::string old_text(1000, 'o');
  const std::string new_text(3000, 'n');
  bool completed = false;
  for (std::uint64_t stop = 1; !completed; ++stop) {
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
      FaultFileSystem files;
      ASSERT_TRUE(write_file_atomic(files, "/a", bytes_of(old_text)));
      files.stop_at(stop);
      const Status written = write_file_atomic(files, "/a", bytes_of(new_text));
      completed = !files.stopped();
      files.lose_power(seed);
      const std::string after = files.contents("/a");
      if (written) {
        EXPECT_EQ(after, new_text) << "acknowledged, then lost; stop " << stop << " seed " << seed;
      } else {
        EXPECT_TRUE(after == old_text || after == new_text) << "stop " << stop << " seed " << seed;
      }
      ASSERT_TRUE(sweep_temp_files(files, "/"));
      EXPECT_EQ(files.all_files().size(), 1U);
    }
  }
}

TEST(AtomicFileTest, LeavesNothingBehindWhenTheDiskIsFull) {
  FaultFileSystem files;
  ASSERT_TRUE(write_file_atomic(files, "/a", bytes_of("old")));
  files.limit_bytes(10);
  const Status written = write_file_atomic(files, "/a", bytes_of("much longer than ten bytes"));
  ASSERT_FALSE(written);
  EXPECT_EQ(exit_code(written.error()), 74);
  EXPECT_EQ(files.all_files(), (std::map<std::string, std::string>{{"/a", "old"}}));
}

TEST(AtomicFileTest, AnyFailingCallLeavesOldOrNewBytes) {
  for (std::uint64_t n = 1; n <= 5; ++n) {
    FaultFileSystem files;
    ASSERT_TRUE(write_file_atomic(files, "/a", bytes_of("old")));
    files.fail_at(n, EIO);
    EXPECT_FALSE(write_file_atomic(files, "/a", bytes_of("new"))) << n;
    EXPECT_EQ(files.all_files().size(), 1U) << n;
    EXPECT_EQ(files.contents("/a"), n <= 4 ? "old" : "new") << n;
  }
}

TEST(AtomicFileTest, SweepRemovesOnlyTempNames) {
  FaultFileSystem files;
  ASSERT_TRUE(files.make_directory("/d", 0700));
  for (const std::string& name : {random_temp_name(), std::string("notes.tmp"), std::string("a")}) {
    ASSERT_TRUE(files.create_exclusive("/d/" + name, 0600));
  }
  EXPECT_EQ(*sweep_temp_files(files, "/d"), 1U);
  EXPECT_EQ(*files.list("/d"), (std::vector<std::string>{"a", "notes.tmp"}));
}

}  // namespace
}  // namespace kiln
