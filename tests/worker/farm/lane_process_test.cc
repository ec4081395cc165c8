#include "worker/lane_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/base/temp_folder.h"
#include "worker/card_probe.h"

namespace kiln::worker {
namespace {

using ::testing::HasSubstr;

constexpr int kLaneDeadlineMs = 20'000;

Result<LaneProcess> start_script(LaneStart start, const std::string& path, const std::string& script) {
  start.program = path;
  std::ofstream(path) << "#!/bin/sh\n" << script;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return LaneProcess::start(LaneId{0}, start);
}

bool wait_readable(const LaneProcess& lane) {
  pollfd ready{lane.fd(), POLLIN, 0};
  return ::poll(&ready, 1, kLaneDeadlineMs) == 1;
}

// What a lane that is started so finds around it.
std::string surroundings(LaneStart start) {
  const test::TempFolder folder;
  const std::string said = folder / "said";
  auto lane = start_script(std::move(start), folder / "lane",
                           "echo \"cards=[$CUDA_VISIBLE_DEVICES]\" > " + said + "\n" +
                               "sed -n 's/^Cpus_allowed_list:.\\(.*\\)/cores=[\\1]/p' /proc/self/status >> " + said + "\n");
  if (!lane) return lane.error().message;
  EXPECT_TRUE(wait_readable(*lane));  // it closes its end
  EXPECT_TRUE(lane->receive()->closed);
  lane->kill();
  return read_file(said, 1U << 16U).value_or("");
}

TEST(LaneProcessTest, SeesItsCardAloneAndRunsOnItsCores) {
  const int core = allowed_cores().back();
  LaneStart start;
  start.card_uuid = "GPU-1234";
  start.cores = {core};
  EXPECT_EQ(surroundings(start), fmt::format("cards=[GPU-1234]\ncores=[{}]\n", core));
}

TEST(LaneProcessTest, OfTheCpuSeesNoCardAndRunsWhereItsWorkerMay) {
  const std::string said = surroundings({});
  EXPECT_THAT(said, HasSubstr("cards=[]\n"));
  EXPECT_THAT(said, HasSubstr("cores=["));
}

TEST(LaneProcessTest, CoresThatWentAwayKeepNoLaneFromStarting) {
  LaneStart start;
  start.cores = {8'000};
  EXPECT_THAT(surroundings(start), HasSubstr("cores=["));
}

TEST(LaneProcessTest, ThatHangsInMidMessageDoesNotHoldItsWorker) {
  const test::TempFolder folder;
  auto lane = start_script({}, folder / "lane", "printf 'four' >&3\nexec sleep 600\n");
  ASSERT_TRUE(lane) << lane.error().message;
  ASSERT_TRUE(wait_readable(*lane));
  const auto arrival = lane->receive();
  ASSERT_TRUE(arrival) << arrival.error().message;
  EXPECT_FALSE(arrival->message);
  EXPECT_FALSE(arrival->closed);
  EXPECT_TRUE(lane->kill().signal == SIGKILL);
}

}  // namespace
}  // namespace kiln::worker
