// Bounds of a worker's shell, and what is counted when one is hit.
#include <gtest/gtest.h>

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

TEST(LaneLogTest, ThatHasGrownTooLongBeginsAnewWithTheNextTask) {
  const test::TempFolder folder;
  LaneHostOptions options;
  options.start.program = folder / "lane";
  options.log_folder = folder / "logs";
  std::filesystem::create_directory(options.log_folder);
  std::ofstream(options.start.program) << "#!/bin/sh\nexec sleep 600\n";
  std::filesystem::permissions(options.start.program, std::filesystem::perms::owner_all);
  LaneHost lane(LaneId{0}, options);
  ASSERT_TRUE(lane.start());
  std::filesystem::resize_file(lane.log_path(), kLaneLogBytesMax);
  lane.begin_log(true);
  EXPECT_EQ(lane.log_begin(), kLaneLogBytesMax);
  EXPECT_EQ(lane.logs_emptied(), 0U);
  std::filesystem::resize_file(lane.log_path(), kLaneLogBytesMax + 1);
  lane.begin_log(true);
  EXPECT_EQ(lane.log_begin(), 0U);
  EXPECT_EQ(lane.logs_emptied(), 1U);
  lane.kill();
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
