// What is typed where a job, a worker, a task or a try is to be named.
#include "cli/farm/command_words.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/process.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kLong(65, 'a');

TEST(CommandWordsTest, NamesOfJobs) {
  for (const char* good : {"film-12345678", "7", "a"}) EXPECT_TRUE(check_job_word(good)) << good;
  for (const std::string& bad : {std::string(), std::string("A B"), std::string("-x"), std::string("a/b"), kLong}) {
    const Status status = check_job_word(bad);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(exit_code(status.error()), 2);
    EXPECT_THAT(status.error().message, StartsWith(fmt::format("'{}' is no job's name (1 to 64 of a-z", bad)));
  }
}

TEST(CommandWordsTest, NamesOfWorkers) {
  for (const char* good : {"w1", "Node_1.example", "-"}) EXPECT_TRUE(check_worker_word(good)) << good;
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(".."), kLong}) {
    const Status status = check_worker_word(bad);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(exit_code(status.error()), 2);
    EXPECT_THAT(status.error().message, HasSubstr("is no worker's name"));
  }
}

TEST(CommandWordsTest, NumbersOfTasksAndTries) {
  EXPECT_EQ(*task_number("1"), 1U);
  EXPECT_EQ(*task_number("9223372036854775807"), 9223372036854775807U);
  EXPECT_EQ(*attempt_number("2147483647"), 2147483647U);
  for (const char* bad : {"", "0", "-1", "+1", "1x", "1.5", "99999999999999999999", "9223372036854775808", " 1"}) {
    const auto task = task_number(bad);
    const auto attempt = attempt_number(bad);
    ASSERT_FALSE(task || attempt) << bad;
    EXPECT_EQ(exit_code(task.error()), 2);
    EXPECT_EQ(exit_code(attempt.error()), 2);
    EXPECT_THAT(task.error().message, StartsWith(fmt::format("'{}' is no task's number (1 to ", bad)));
  }
  EXPECT_FALSE(attempt_number("2147483648"));
}

TEST(CommandWordsTest, WhatIsToBeExplained) {
  EXPECT_EQ(*explain_request("12"), (net::Explain{12, ""}));
  EXPECT_EQ(*explain_request("film-12"), (net::Explain{0, "film-12"}));
  EXPECT_EQ(*explain_request("99999999999999999999"), (net::Explain{0, "99999999999999999999"})) << "a job may be called so";
  for (const char* bad : {"", "0", "000", "-1", "Film 1"}) {
    const auto request = explain_request(bad);
    ASSERT_FALSE(request) << bad;
    EXPECT_EQ(exit_code(request.error()), 2);
    EXPECT_THAT(request.error().message, HasSubstr("neither a task's number"));
  }
}

// ---- kiln logs TASK --attempt N ----

TEST(CommandWordsTest, TheLogThatIsShownIsTheLatestOrTheOneThatWasAskedFor) {
  const net::BlobRef log{std::string(64, 'a'), 5};
  const net::TaskLogs logs{{{2, "w1", LaneId{0}, "failed: because", log}, {3, "w2", LaneId{0}, "lost", {}}}};
  EXPECT_EQ((*chosen_attempt(logs, {7, 0}))->attempt, 2U) << "the latest that has one";
  EXPECT_EQ((*chosen_attempt(logs, {7, 2}))->attempt, 2U);
  EXPECT_EQ(*chosen_attempt(net::TaskLogs{}, {7, 0}), nullptr) << "it was not begun yet";
  const auto none = chosen_attempt(logs, {7, 99});
  ASSERT_FALSE(none);
  EXPECT_EQ(exit_code(none.error()), 3);
  EXPECT_EQ(none.error().message, "task 7 has no attempt 99; attempts 2 to 3 are known");
  EXPECT_EQ(chosen_attempt(net::TaskLogs{}, {7, 1}).error().message, "task 7 has no attempt 1; it was not begun yet");
  const auto empty = chosen_attempt(logs, {7, 3});
  ASSERT_FALSE(empty);
  EXPECT_EQ(exit_code(empty.error()), 3);
  EXPECT_EQ(empty.error().message, "task 7, attempt 3: lost; no log of it was kept");
}

struct BadWords {
  std::vector<std::string> words;
  std::string says;
};

// Nobody listens there: a command that asked somebody would end with 4.
TEST(CommandWordsTest, CommandsEndWith2AndOneLineBeforeAnybodyIsAsked) {
  for (const BadWords& bad : std::vector<BadWords>{{{"explain", ""}, "neither a task's number"},
                                                   {{"explain", "-1"}, "neither a task's number"},
                                                   {{"logs", "-1"}, "'-1' is no task's number"},
                                                   {{"logs", "99999999999999999999"}, "is no task's number"},
                                                   {{"logs", "1", "--attempt", "-1"}, "is no number of a try"},
                                                   {{"logs", "1", "--attempt", "0"}, "is no number of a try"},
                                                   {{"status", ""}, "is no job's name"},
                                                   {{"fetch", "", "-o", "x"}, "is no job's name"},
                                                   {{"watch", "A"}, "is no job's name"},
                                                   {{"trace", ""}, "is no job's name"},
                                                   {{"cancel", ""}, "is no job's name"},
                                                   {{"rm", "A B"}, "is no job's name"},
                                                   {{"drain", ""}, "is no worker's name"}}) {
    SpawnOptions options;
    options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln"};
    options.argv.insert(options.argv.end(), bad.words.begin(), bad.words.end());
    options.argv.insert(options.argv.end(), {"--coordinator", "tcp://127.0.0.1:1"});
    const auto output = run_command(std::move(options), std::chrono::seconds(30));
    ASSERT_TRUE(output) << output.error().message;
    EXPECT_EQ(output->status.exit_code, 2) << bad.words[0];
    EXPECT_THAT(output->err, HasSubstr(bad.says));
    EXPECT_EQ(output->err.find('\n'), output->err.size() - 1);
  }
}

}  // namespace
}  // namespace kiln::cli
