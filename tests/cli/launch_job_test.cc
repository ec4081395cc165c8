// How long a launch waits, and what it says when it does no longer. Its coordinator is a socket that answers as one would.
#include "cli/mpi/launch_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "net/farm_codec.h"
#include "net/router_socket.h"
#include "tests/base/temp_folder.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr auto kQuickly = 200ms;  // for one answer

// A farm in which one job waits and no worker ever does anything.
class SilentFarm {
 public:
  SilentFarm() : router_(net::RouterSocket::bind(context_, "tcp://127.0.0.1:0", {}).value()), endpoint(router_.endpoint()) {
    thread_ = std::thread([this] { serve(); });
  }
  ~SilentFarm() {
    ends_ = true;
    thread_.join();
  }

 private:
  net::ZmqContext context_;
  net::RouterSocket router_;
  std::thread thread_;
  std::atomic<bool> ends_ = false;

 public:
  const std::string endpoint;
  std::atomic<bool> answers = true;
  std::atomic<net::JobState> state = net::JobState::kRunning;
  std::vector<net::WorkerStatus> workers;  // before anybody asks
  std::atomic<int> told_to_leave = 0;

 private:
  void serve() {
    while (!ends_) {
      while (auto received = router_.receive()) {
        auto asked = net::decode_farm_message(received->bytes);
        if (!asked || !answers) continue;
        net::FarmMessage answer;
        answer.request = asked->request;
        answer.body = reply_to(std::get<net::ClientRequest>(asked->body));
        (void)router_.send(received->identity, net::encode(answer));
      }
      std::this_thread::sleep_for(1ms);
    }
  }
  net::ClientReply reply_to(const net::ClientRequest& asked) {
    if (const auto* get = std::get_if<net::GetJob>(&asked)) {
      net::JobStatus status;
      status.summary.job = get->job;
      status.summary.state = state;
      status.revision = get->after_revision + 1;
      return status;
    }
    if (std::holds_alternative<net::GetStatus>(asked)) return net::FarmStatus{};
    if (std::holds_alternative<net::ListWorkers>(asked)) return net::WorkerList{workers};
    if (std::holds_alternative<net::Drain>(asked)) ++told_to_leave;
    return net::Done{};
  }
};

class LaunchJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(folder_ / "job.toml") << "model = 'm'\n[[clip]]\nsource = 'in.mp4'\n";
    flags_.job_file = folder_ / "job.toml";
    flags_.output = folder_ / "out.mkv";
    patience_.coordinator_away = 500ms;
    patience_.absent = 0ms;
  }
  Result<int> run(const std::vector<std::string>& workers = {}) {
    FarmAddress address;
    address.endpoint = farm_.endpoint;
    address.timeout = kQuickly;
    GlobalOptions global;
    global.json = true;
    return LaunchJob(flags_, address, workers, global, patience_).run();
  }

  const test::TempFolder folder_;
  MpiFlags flags_;
  LaunchPatience patience_;
  SilentFarm farm_;
};

TEST_F(LaunchJobTest, NoWorkerForLongEndsItAndNamesTheAddress) {
  patience_.nobody = 1s;
  const auto code = run({"host-1"});
  ASSERT_FALSE(code);
  EXPECT_EQ(exit_code(code.error()), 4);
  EXPECT_THAT(code.error().message, HasSubstr("no worker for 1 s: can the other hosts reach " + farm_.endpoint));
}

TEST_F(LaunchJobTest, ACoordinatorThatStaysAwayEndsItAndIsNamed) {
  farm_.answers = false;
  const auto code = run();
  ASSERT_FALSE(code);
  EXPECT_EQ(exit_code(code.error()), 6);
  EXPECT_THAT(code.error().message, HasSubstr("did not answer"));
}

TEST_F(LaunchJobTest, WorkersThatDoNotLeaveAreToldAgainAndLeftBehindAfterAWhile) {
  farm_.state = net::JobState::kFailed;
  net::WorkerStatus busy;
  busy.worker = "host-1";
  busy.connected = true;
  farm_.workers = {busy};
  patience_.leave = 500ms;
  const auto code = run({"host-1"});
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 1) << "the job's";
  EXPECT_GE(farm_.told_to_leave, 2);
}

TEST_F(LaunchJobTest, WorkersThatWereKilledOrNeverCameAreWaitedForNoLongerThanThat) {
  farm_.state = net::JobState::kFailed;
  net::WorkerStatus killed;
  killed.worker = "host-1";
  killed.heard_s_ago = 31;
  farm_.workers = {killed};
  const auto code = run({"host-1", "host-2"});
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(farm_.told_to_leave, 0);
}

}  // namespace
}  // namespace kiln::cli
