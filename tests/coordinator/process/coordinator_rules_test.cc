// The rules of the configuration, as a coordinator that runs follows them.
#include <gmock/gmock.h>

#include <chrono>

#include "tests/base/temp_folder.h"
#include "tests/coordinator/process/coordinator_process.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::HasSubstr;

net::JobRequest noop_job(const std::string& name) {
  net::JobRequest request;
  request.job = name;
  request.kind = net::JobKind::kNoop;
  request.noop_tasks = 1;
  return request;
}

TEST(CoordinatorRulesTest, TheFileDecidesHeartbeatTriesAndHowManyJobsAreKept) {
  const kiln::test::TempFolder folder;
  const CoordinatorProcess farm(folder.path(),
                                "[farm]\nheartbeat_ms = 700\njobs_max = 1\n[farm.failures.error]\nattempts = 1\n");
  ASSERT_TRUE(farm.up()) << farm.said();
  BareWorker worker(farm.notice().endpoint);
  worker.say(hello_of("a", 1));
  EXPECT_EQ(worker.wait_for<net::Welcome>().heartbeat_ms, 700U);
  const auto client = farm.client();
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->ask_for<net::Done>(net::Submit{noop_job("first")}));
  const auto task = worker.wait_for<net::Assign>();
  worker.say(net::TaskFailed{task.task, task.attempt, {net::FailureKind::kError, "internal", "once", -1}, {}});
  worker.wait_for<net::ResultTaken>();
  const auto status = client->ask_for<net::JobStatus>(net::GetJob{"first", 0, 0});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->summary.state, net::JobState::kFailed) << "one try, where three are built in";
  const auto second = client->ask_for<net::Done>(net::Submit{noop_job("second")});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("1 jobs are kept already"));
  std::string metrics;  // published a few times a second
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (metrics.find("kiln_jobs_full_total 1\n") == std::string::npos && std::chrono::steady_clock::now() < until) {
    metrics = farm.http("/metrics");
  }
  EXPECT_THAT(metrics, HasSubstr("kiln_jobs_full_total 1\n"));
}

TEST(CoordinatorRulesTest, ABadRuleEndsItWithTheLine) {
  const kiln::test::TempFolder folder;
  CoordinatorProcess farm(folder.path(), "[farm.failures.crash]\nattempts = 0\n");
  EXPECT_FALSE(farm.up());
  EXPECT_EQ(farm.stop(), 78);
  EXPECT_THAT(farm.said(), HasSubstr("test.toml:2: 'farm.failures.crash.attempts' is 0; it takes a whole number from 1"));
}

}  // namespace
}  // namespace kiln::coordinator::test
