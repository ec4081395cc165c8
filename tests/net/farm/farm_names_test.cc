#include "net/farm_names.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "net/farm_limits.h"

namespace kiln::net {
namespace {

TEST(FarmNamesTest, JobsAreLowerCaseLettersDigitsAndDashes) {
  for (const std::string name : {"a", "job-1", "0", "a-", "2026-11-26-night"}) EXPECT_TRUE(valid_job_name(name)) << name;
  for (const std::string name : {"", "A", "-", "-a", "a b", "a/b", "a.b", "a_b", "\xc3\xa4"}) {
    EXPECT_FALSE(valid_job_name(name)) << name;
  }
  EXPECT_TRUE(valid_job_name(std::string(kNameBytesMax, 'a')));
  EXPECT_FALSE(valid_job_name(std::string(kNameBytesMax + 1, 'a')));
  EXPECT_FALSE(valid_job_name(std::string("a\0", 2)));
}

TEST(FarmNamesTest, WorkersMayBeNamedAsHostsAreButNotAsFolders) {
  for (const std::string name : {"Node07", "render-07.example.org", "a_b", "...", "0"}) {
    EXPECT_TRUE(valid_worker_name(name)) << name;
  }
  for (const std::string name : {"", ".", "..", "a/b", "a b", "a:1", "\n"}) EXPECT_FALSE(valid_worker_name(name)) << name;
  EXPECT_TRUE(valid_worker_name(std::string(kNameBytesMax, 'Z')));
  EXPECT_FALSE(valid_worker_name(std::string(kNameBytesMax + 1, 'Z')));
}

TEST(FarmNamesTest, PathsOfPackagesStayBelowTheirFolder) {
  for (const std::string path : {"manifest.toml", "graphs/a b.pt2", "...", "a/..b", "\xc3\xa4"}) {
    EXPECT_TRUE(valid_relative_path(path)) << path;
  }
  for (const std::string path : {"", "/a", "a/", "a//b", ".", "..", "a/./b", "a/..", "../a", "a\nb"}) {
    EXPECT_FALSE(valid_relative_path(path)) << path;
  }
  EXPECT_FALSE(valid_relative_path(std::string(kPathBytesMax + 1, 'a')));
}

TEST(FarmNamesTest, HashesAre64LowerCaseHexDigits) {
  EXPECT_TRUE(valid_sha256(std::string(60, '0') + "9afb"));
  for (const std::string& hash : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                                  std::string(64, 'g')}) {
    EXPECT_FALSE(valid_sha256(hash)) << hash;
  }
}

TEST(FarmNamesTest, WordsAndLines) {
  EXPECT_TRUE(is_word("30000/1001"));
  EXPECT_FALSE(is_word("a b"));
  EXPECT_FALSE(is_word("\xc3\xa4"));
  EXPECT_TRUE(is_one_line("Stra\xc3\x9f" "e 1"));
  EXPECT_FALSE(is_one_line("a\tb"));
  EXPECT_FALSE(is_one_line("\x7f"));
}

}  // namespace
}  // namespace kiln::net
