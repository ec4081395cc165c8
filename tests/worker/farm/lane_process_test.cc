#include "worker/lane_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temp_folder.h"
#include "worker/card_probe.h"

namespace kiln::worker {
namespace {

using ::testing::HasSubstr;

// What a lane that is started so finds around it.
std::string surroundings(LaneStart start) {
  const test::TempFolder folder;
  start.program = folder / "lane";
  std::ofstream(start.program) << "#!/bin/sh\n"
                                  "echo \"cards=[$CUDA_VISIBLE_DEVICES]\" > " << folder / "said" << "\n"
                                  "sed -n 's/^Cpus_allowed_list:.\\(.*\\)/cores=[\\1]/p' /proc/self/status >> " << folder / "said" << "\n";
  std::filesystem::permissions(start.program, std::filesystem::perms::owner_all);
  auto lane = LaneProcess::start(LaneId{0}, start);
  if (!lane) return lane.error().message;
  const auto ended = lane->receive();  // until it closes its end
  lane->kill();
  return read_file(folder / "said", 1U << 16U).value_or("");
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

}  // namespace
}  // namespace kiln::worker
