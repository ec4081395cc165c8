#include "base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

using namespace std::chrono_literals;

namespace kiln {
namespace {

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"sh", "-c", script};
  return options;
}

TEST(ProcessTest, ReturnsOutputAndExitCode) {
  const auto output = run_command(shell("echo out; echo err >&2; exit 3"), 10s);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
  EXPECT_EQ(output->status.exit_code, 3);
}

TEST(ProcessTest, SaysWhatAChildUsedOfTheProcessor) {
  const auto busy = run_command(shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"), 60s);
  ASSERT_TRUE(busy) << busy.error().message;
  EXPECT_GT(busy->status.cpu_s, 0.02);
  const auto idle = run_command(shell("sleep 0.2"), 10s);  // it waits, and its child does
  ASSERT_TRUE(idle) << idle.error().message;
  EXPECT_LT(idle->status.cpu_s, busy->status.cpu_s);
  ChildProcess child = ChildProcess::spawn(shell("while :; do :; done")).value();
  EXPECT_FALSE(child.wait_for(100ms).value());
  EXPECT_GT(child.kill_and_wait().cpu_s, 0.0);
}

TEST(ProcessTest, MissingProgramIsNotFound) {
  SpawnOptions options;
  options.argv = {"/nonexistent/program"};
  EXPECT_EQ(ChildProcess::spawn(options).error().code, ErrorCode::kNotFound);
  options.argv = {"no-such-program-anywhere"};
  EXPECT_EQ(ChildProcess::spawn(options).error().code, ErrorCode::kNotFound);
}

TEST(ProcessTest, DeadlineKillsTheWholeGroup) {
  const auto output = run_command(shell("sleep 100 & sleep 100"), 100ms);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(ProcessTest, TooMuchOutputIsAnError) {
  const auto output = run_command(shell("head -c 100000 /dev/zero"), 10s, 1000);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::kResourceExhausted);
}

TEST(ProcessTest, OnlyNamedDescriptorsAreInherited) {
  const Pipe pipe = make_pipe().value();
  SpawnOptions options = shell("ls /proc/self/fd | tr '\\n' ' '; echo hi >&7");
  options.inherit = {{pipe.write_end.get(), 7}};
  const auto output = run_command(options, 10s);
  ASSERT_TRUE(output);
  // ls itself opens the folder as 3.
  EXPECT_EQ(output->out, "0 1 2 3 7 ");
}

TEST(ProcessTest, EnvironmentIsSetUnsetAndCleared) {
  ::setenv("KILN_TEST_GONE", "1", 1);
  SpawnOptions options = shell("echo \"$KILN_TEST_GONE-$KILN_TEST_SET\"");
  options.unset_env = {"KILN_TEST_GONE"};
  options.set_env = {{"KILN_TEST_SET", "yes"}};
  EXPECT_EQ(run_command(options, 10s)->out, "-yes\n");
}

TEST(ProcessTest, NiceIsCountedFromOurs) {
  SpawnOptions options = shell("nice");
  options.nice = 3;
  const auto output = run_command(options, 10s);
  ASSERT_TRUE(output);
  EXPECT_EQ(std::stoi(output->out), std::min(19, ::getpriority(PRIO_PROCESS, 0) + 3));
}

TEST(ProcessTest, WaitForSaysStillRunningThenTheSignal) {
  ChildProcess child = ChildProcess::spawn(shell("exec sleep 100")).value();
  EXPECT_FALSE(child.wait_for(0ms)->has_value());
  child.signal_group(SIGKILL);
  const auto status = child.wait_for(10s);
  ASSERT_TRUE(status && status->has_value());
  EXPECT_EQ((*status)->signal, SIGKILL);
}

}  // namespace
}  // namespace kiln
