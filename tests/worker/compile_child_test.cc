// What can go wrong with a child, each an error of one request; the next request is served.
#include "worker/compile_child.h"

#include <signal.h>

#include <fstream>
#include <future>
#include <thread>

#include "tests/worker/compile_child_fixture.h"

namespace kiln::worker {
namespace {

using namespace std::chrono_literals;

class CompileChildTest : public CompileChildFixture {
 protected:
  void expect_failure_then_service(const std::string& graph, ErrorCode code, const std::string& words) {
    const auto failed = compile(graph);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, code) << failed.error().message;
    EXPECT_NE(failed.error().message.find(words), std::string::npos) << failed.error().message;
    EXPECT_EQ(failed.error().message.find('\n'), std::string::npos);
    const auto served = compile("ok");
    ASSERT_TRUE(served) << served.error().message;
    EXPECT_EQ(child_->stats().starts, 2U);
    EXPECT_EQ(child_->stats().failures, 1U);
  }
};

TEST_F(CompileChildTest, ReturnsLibraryAndMeasurementsAndStaysWarm) {
  start(fake_options());
  for (int i = 0; i < 2; ++i) {
    const auto made = compile("ok");
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(made->library, "made by the fake");
    EXPECT_DOUBLE_EQ(made->compile_s, 1.5);
    EXPECT_DOUBLE_EQ(made->run_ms, 2.5);
    EXPECT_EQ(made->run_peak_bytes, 4096U);
    ASSERT_EQ(made->outputs.size(), 1U);
    EXPECT_EQ(made->outputs[0].shape[1], sharding::static_dim(3));
  }
  EXPECT_EQ(child_->stats().starts, 1U);
  EXPECT_EQ(child_->stats().compiles, 2U);
}

TEST_F(CompileChildTest, LeavesTheCardWhereItIsToldTo) {
  CompileChildOptions options = fake_options();
  options.leaves_when_idle = true;
  start(std::move(options));
  for (std::uint64_t i = 1; i <= 2; ++i) {
    ASSERT_TRUE(compile("ok"));
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (child_->pid() >= 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    EXPECT_EQ(child_->pid(), -1);
    EXPECT_EQ(child_->stats().starts, i);
  }
}

TEST_F(CompileChildTest, IsGoneWhenItWasAskedToLeave) {
  start(fake_options());
  child_->leave();  // there is none yet
  for (std::uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(compile("ok"));
    const pid_t pid = child_->pid();
    child_->leave();
    EXPECT_EQ(child_->pid(), -1);
    EXPECT_NE(::kill(pid, 0), 0) << "it is no zombie either";
    EXPECT_EQ(child_->stats().starts, i);
  }
}

TEST_F(CompileChildTest, KernelsComeFromTheSameChildAsGraphs) {
  start(fake_options());
  ASSERT_TRUE(compile("ok"));
  std::promise<Result<CompiledLibrary>> promise;
  CompileRequest request;
  request.kernels = KernelRequest{"__global__", "sm_90", {}};
  ASSERT_TRUE(child_->submit(std::move(request), [&](Result<CompiledLibrary> made) { promise.set_value(std::move(made)); }));
  const auto made = promise.get_future().get();
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->library, "sm_90 __global__");
  ASSERT_TRUE(compile("ok"));
  EXPECT_EQ(child_->stats().starts, 1U);
}

TEST_F(CompileChildTest, RefusalKeepsTheChild) {
  start(fake_options());
  const auto refused = compile("refuse");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cannot compile this graph");
  ASSERT_TRUE(compile("ok"));
  EXPECT_EQ(child_->stats().starts, 1U);
}

TEST_F(CompileChildTest, CrashIsAnErrorOfOneRequest) {
  start(fake_options());
  expect_failure_then_service("crash", ErrorCode::kAborted, "killed by signal 6");
}

TEST_F(CompileChildTest, EarlyExitNamesItsLastWords) {
  start(fake_options());
  expect_failure_then_service("exit", ErrorCode::kAborted, "exit code 3; its last words: about to give up");
}

TEST_F(CompileChildTest, HangEndsAtTheDeadline) {
  CompileChildOptions options = fake_options();
  options.compile_deadline = 2s;
  start(options);
  expect_failure_then_service("hang", ErrorCode::kDeadlineExceeded, "longer than 2 s");
}

TEST_F(CompileChildTest, MemoryOfGrandchildrenCountsAndIsLimited) {
  CompileChildOptions options = fake_options();
  options.memory_limit_bytes = 200_MiB;
  start(options);
  expect_failure_then_service("memory 400000000", ErrorCode::kResourceExhausted, "limit of 200.0 MiB");
}

TEST_F(CompileChildTest, MoreProcessesThanAreWatchedEndIt) {
  start(fake_options());
  expect_failure_then_service("processes 260", ErrorCode::kResourceExhausted, "compiling started 256 processes or more");
}

TEST_F(CompileChildTest, PeakMemoryIsReported) {
  start(fake_options());
  const auto made = compile("ok");
  ASSERT_TRUE(made);
  EXPECT_GT(made->compile_peak_rss_bytes, 1_MiB);
  EXPECT_LT(made->compile_peak_rss_bytes, 1_GiB);
}

TEST_F(CompileChildTest, GarbageIsRefused) {
  start(fake_options());
  expect_failure_then_service("garbage", ErrorCode::kDataLoss, "nonsense");
}

TEST_F(CompileChildTest, EndlessLineIsRefused) {
  start(fake_options());
  expect_failure_then_service("endless-line", ErrorCode::kDataLoss, "a line of more than 1.0 MiB");
}

TEST_F(CompileChildTest, AnswerToAnotherRequestIsRefused) {
  start(fake_options());
  expect_failure_then_service("other-id", ErrorCode::kDataLoss, "not asked");
}

TEST_F(CompileChildTest, PrintingToStdoutHarmsNothing) {
  start(fake_options());
  const auto made = compile("print");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(child_->stats().starts, 1U);
}

TEST_F(CompileChildTest, LibraryElsewhereIsRefused) {
  start(fake_options());
  expect_failure_then_service("elsewhere /etc/passwd", ErrorCode::kDataLoss, "not its to name");
}

TEST_F(CompileChildTest, LinkInPlaceOfTheLibraryIsNotFollowed) {
  start(fake_options());
  const auto failed = compile("link /etc/passwd");
  ASSERT_FALSE(failed);
  ASSERT_TRUE(compile("ok"));
}

TEST_F(CompileChildTest, ChildKilledWhileIdleIsReplaced) {
  start(fake_options());
  ASSERT_TRUE(compile("ok"));
  const pid_t pid = child_->pid();
  ASSERT_GT(pid, 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  const auto until = std::chrono::steady_clock::now() + 30s;
  std::string state;
  while (state != "Z" && std::chrono::steady_clock::now() < until) {  // dead, and not yet reaped by its owner
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string skipped;
    stat >> skipped >> skipped >> state;
  }
  const auto served = compile("ok");
  ASSERT_TRUE(served) << served.error().message;
  EXPECT_EQ(child_->stats().starts, 2U);
  EXPECT_EQ(child_->stats().failures, 0U);
}

TEST_F(CompileChildTest, CancelEndsTheRunningRequest) {
  start(fake_options());
  ASSERT_TRUE(compile("ok"));
  auto running = submit("hang");
  child_->cancel(last_ticket_);
  ASSERT_EQ(running.wait_for(30s), std::future_status::ready);
  EXPECT_EQ(running.get().error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(compile("ok"));
}

TEST_F(CompileChildTest, CancelEndsAQueuedRequestWithoutTouchingTheRunningOne) {
  CompileChildOptions options = fake_options();
  options.compile_deadline = 3s;
  start(options);
  auto running = submit("hang");
  auto queued = submit("ok");
  child_->cancel(last_ticket_);
  EXPECT_EQ(running.get().error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(queued.get().error().code, ErrorCode::kCancelled);
}

TEST_F(CompileChildTest, DestructionCancelsEverything) {
  start(fake_options());
  auto running = submit("hang");
  auto queued = submit("ok");
  child_.reset();
  EXPECT_EQ(running.get().error().code, ErrorCode::kCancelled);
  EXPECT_EQ(queued.get().error().code, ErrorCode::kCancelled);
}

TEST_F(CompileChildTest, QueueIsBounded) {
  start(fake_options());
  std::vector<std::future<Result<CompiledLibrary>>> waiting;
  for (std::size_t i = 0; i < kCompileQueueMax + 1; ++i) waiting.push_back(submit("hang"));
  auto refused = submit("ok");  // one may be in work, the queue is full in any case
  if (refused.wait_for(0s) != std::future_status::ready) refused = submit("ok");
  ASSERT_EQ(refused.wait_for(0s), std::future_status::ready);
  EXPECT_EQ(refused.get().error().code, ErrorCode::kResourceExhausted);
}

TEST_F(CompileChildTest, ChildOfAnotherTorchIsRefused) {
  CompileChildOptions options = fake_options();
  options.torch_git = "another";
  start(options);
  const auto refused = compile("ok");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("has torch test-git, artifacts are made for another"), std::string::npos);
}

TEST_F(CompileChildTest, ChildOfOtherSourcesIsRefused) {
  CompileChildOptions options = fake_options();
  options.recipe_sha256 = "another";
  start(options);
  const auto refused = compile("ok");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("sources of the compile child were changed"), std::string::npos);
}

TEST_F(CompileChildTest, MissingInterpreterIsOneClearError) {
  CompileChildOptions options = fake_options();
  options.command = {"/nowhere/python"};
  start(options);
  const auto failed = compile("ok");
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("/nowhere/python"), std::string::npos);
}

}  // namespace
}  // namespace kiln::worker
