// Bounds of a worker's shell, and what is counted when one is hit.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/base/temp_folder.h"
#include "worker/lane_host.h"
#include "worker/transfer_pool.h"

namespace kiln::worker {
namespace {

TEST(LaneLogTest, OfALongAttemptTheLastWholeLinesAreRead) {
  const test::TempFolder folder;
  const std::string path = folder / "lane-0.log";
  std::ofstream(path) << "of an earlier task\nfirst\nsecond\nthird\n";
  const std::uint64_t begin = std::string("of an earlier task\n").size();
  const LogTail whole = read_log(path, begin, 100);
  EXPECT_EQ(whole.text, "first\nsecond\nthird\n");
  EXPECT_EQ(whole.cut_bytes, 0U);
  const LogTail cut = read_log(path, begin, std::string("ond\nthird\n").size());
  EXPECT_EQ(cut.text, "third\n");
  EXPECT_EQ(cut.cut_bytes, std::string("first\nsecond\n").size());
  EXPECT_EQ(read_log(folder / "missing", 0, 100).text, "");
}

// A lane that takes what it is told and never answers.
class SilentLane {
 public:
  SilentLane() {
    options_.start.program = folder_ / "lane";
    options_.log_folder = folder_ / "logs";
    std::filesystem::create_directory(options_.log_folder);
    std::ofstream(options_.start.program) << "#!/bin/sh\nexec sleep 600\n";
    std::filesystem::permissions(options_.start.program, std::filesystem::perms::owner_all);
    lane.emplace(LaneId{0}, options_);
    EXPECT_TRUE(lane->start());
  }
  ~SilentLane() { lane->kill(); }

 private:
  const test::TempFolder folder_;
  LaneHostOptions options_;

 public:
  std::optional<LaneHost> lane;
};

TEST(LaneHostTest, ClipsBeyondThoseThatALaneRemembersGiveWayAndAreCounted) {
  SilentLane silent;
  const UniqueFd description(::memfd_create("description", MFD_CLOEXEC));
  const auto use = [&](std::uint32_t number) {
    return silent.lane->use_clip({std::to_string(number), "clip.mkv"}, description.get()).value();
  };
  for (std::uint32_t i = 0; i < kClipsPerLane; ++i) EXPECT_EQ(use(i), ClipId{i});
  EXPECT_EQ(use(0), ClipId{0});
  EXPECT_EQ(silent.lane->clips_let_go(), 0U);
  EXPECT_EQ(use(kClipsPerLane), ClipId{0});  // in the oldest one's place
  EXPECT_EQ(silent.lane->clips_let_go(), 1U);
  EXPECT_EQ(use(0), ClipId{1});
  EXPECT_EQ(silent.lane->clips_let_go(), 2U);
}

TEST(LaneLogTest, ThatHasGrownTooLongBeginsAnewWithTheNextTask) {
  SilentLane silent;
  LaneHost& lane = *silent.lane;
  std::filesystem::resize_file(lane.log_path(), kLaneLogBytesMax);
  lane.begin_log(true);
  EXPECT_EQ(lane.log_begin(), kLaneLogBytesMax);
  EXPECT_EQ(lane.logs_emptied(), 0U);
  std::filesystem::resize_file(lane.log_path(), kLaneLogBytesMax + 1);
  lane.begin_log(true);
  EXPECT_EQ(lane.log_begin(), 0U);
  EXPECT_EQ(lane.logs_emptied(), 1U);
}

TEST(TransferPoolTest, WhatFindsItFullWaitsAndIsCounted) {
  std::promise<void> gate;
  std::promise<void> begun;
  std::atomic<std::size_t> done = 0;
  {
    TransferPool pool(1);
    pool.run([&] {
      begun.set_value();
      gate.get_future().wait();
    });
    begun.get_future().wait();
    for (std::size_t i = 0; i < kTransfersWaitingMax; ++i) pool.run([&] { ++done; });
    EXPECT_EQ(pool.found_full(), 0U);
    std::thread one_more([&] { pool.run([&] { ++done; }); });
    while (pool.found_full() == 0) std::this_thread::yield();
    gate.set_value();
    one_more.join();
    while (done <= kTransfersWaitingMax) std::this_thread::yield();
  }
  EXPECT_EQ(done, kTransfersWaitingMax + 1);
}

}  // namespace
}  // namespace kiln::worker
