// A coordinator that is started again: from the journal, and from its snapshots.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/base/temp_folder.h"
#include "tests/coordinator/process/coordinator_process.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kTasks = 600;  // two facts each
constexpr std::string_view kOften = "[farm]\nsnapshot_facts = 100\n";

void run_noops(const CoordinatorProcess& farm, const std::string& name) {
  BareWorker worker(farm.notice().endpoint);
  worker.say(hello_of("w-" + name, 200));
  net::JobRequest request;
  request.job = name;
  request.kind = net::JobKind::kNoop;
  request.noop_tasks = kTasks;
  ASSERT_TRUE(farm.client()->ask_for<net::Done>(net::Submit{request}));
  for (std::int64_t i = 0; i < kTasks; ++i) {
    const auto task = worker.wait_for<net::Assign>();
    worker.say(net::TaskDone{task.task, task.attempt, net::NoopResult{}, {}});
  }
  const auto client = farm.client();
  for (std::uint64_t revision = 0;;) {
    const auto status = client->ask_for<net::JobStatus>(net::GetJob{name, revision, 1'000});
    ASSERT_TRUE(status) << status.error().message;
    revision = status->revision;
    if (status->summary.state == net::JobState::kDone) break;
  }
  worker.say(net::Goodbye{});
}

std::vector<std::string> snapshots_in(const std::string& state) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(state + "/journal")) {
    if (entry.path().filename().string().starts_with("snapshot-")) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

void expect_job(const CoordinatorProcess& farm, const std::string& name) {
  ASSERT_TRUE(farm.up()) << farm.said();
  const auto status = farm.client()->ask_for<net::JobStatus>(net::GetJob{name});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->summary.state, net::JobState::kDone);
}

TEST(CoordinatorRestartTest, ACleanEndLeavesASnapshotThatTheNextStartReads) {
  const kiln::test::TempFolder folder;
  {
    CoordinatorProcess farm(folder.path());
    ASSERT_TRUE(farm.up()) << farm.said();
    run_noops(farm, "one");
    EXPECT_EQ(farm.stop(), 0);
  }
  ASSERT_EQ(snapshots_in(folder.path()).size(), 1U);
  CoordinatorProcess again(folder.path());
  expect_job(again, "one");
  EXPECT_THAT(again.said(), HasSubstr("1202 facts, 1202 of them in a snapshot: 1 jobs"));
}

TEST(CoordinatorRestartTest, KilledItReadsTheNewestSnapshotAndADamagedOneIsNoLoss) {
  const kiln::test::TempFolder folder;
  for (const std::string name : {"one", "two"}) {
    CoordinatorProcess farm(folder.path(), std::string(kOften));
    ASSERT_TRUE(farm.up()) << farm.said();
    run_noops(farm, name);
    const std::size_t wanted = name == "one" ? 1 : 2;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (snapshots_in(folder.path()).size() < wanted && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    farm.kill();
  }
  ASSERT_EQ(snapshots_in(folder.path()).size(), 2U);
  std::filesystem::resize_file(snapshots_in(folder.path()).back(), 100);
  CoordinatorProcess again(folder.path(), std::string(kOften));
  expect_job(again, "one");
  expect_job(again, "two");
  EXPECT_THAT(again.said(), HasSubstr("is damaged: it is cut off; the one before it is read"));
}

}  // namespace
}  // namespace kiln::coordinator::test
