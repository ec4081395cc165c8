// What an out-of-memory teaches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

using net::FailureKind;
using net::JobState;
using ::testing::HasSubstr;

TEST(OutOfMemoryTest, ThatClassIsNeverAskedAgain) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("small").budget(60ULL << 20U).isa("avx2").no_compiler());
  farm.connect(WorkerBuilder("big").isa("avx2").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(10));
  int small = 0;
  for (bool any = true; any;) {
    any = false;
    for (const net::Assign& task : farm.take_assigns("small")) {
      any = true;
      if (std::holds_alternative<net::SegmentSpec>(task.spec)) {
        ++small;
        farm.fail("small", task, FailureKind::kOutOfMemory);
      } else {
        farm.finish("small", task);
      }
    }
    for (const net::Assign& task : farm.take_assigns("big")) farm.finish("big", task), any = true;
  }
  EXPECT_EQ(small, 1);
  EXPECT_EQ(farm.job("job").ended, JobState::kDone);
}

TEST(OutOfMemoryTest, ATolerantJobGoesOnWithSmallerTiles) {
  for (const char* numerics : {"strict", "tolerant"}) {
    FarmEnv farm;
    farm.one_segment_at_a_time();
    farm.smaller_tiles = true;
    farm.connect(WorkerBuilder("a").no_compiler());
    farm.submit(JobBuilder("job").executor("uncompiled").numerics(numerics).segment_frames(50));
    farm.finish("a", farm.take_assign("a"));
    const net::Assign first = farm.take_assign("a");
    EXPECT_EQ(segment(first).tile_width, 32);
    farm.finish("a", first);
    farm.fail("a", farm.take_assign("a"), FailureKind::kOutOfMemory);
    if (std::string(numerics) == "strict") {  // its frames would have other bits than those that are done
      EXPECT_EQ(farm.job("job").ended, JobState::kFailed);
      EXPECT_THAT(farm.job("job").reason, HasSubstr("tolerant"));
      continue;
    }
    const net::Assign again = farm.take_assign("a");
    EXPECT_EQ(segment(again).tile_width, 16);
    farm.finish("a", again);
    farm.run_to_end();
    EXPECT_EQ(farm.job("job").ended, JobState::kDone);
  }
}

TEST(OutOfMemoryTest, AStrictJobWithoutFramesIsPlannedAnew) {
  FarmEnv farm;
  farm.smaller_tiles = true;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(50));
  farm.finish("a", farm.take_assign("a"));
  farm.fail("a", farm.take_assign("a"), FailureKind::kOutOfMemory);
  EXPECT_EQ(segment(farm.take_assign("a")).tile_width, 16);
}

TEST(OutOfMemoryTest, AJobThatFitsNowhereSaysHowMuchItNeeds) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").numerics("tolerant").segment_frames(50));
  farm.finish("a", farm.take_assign("a"));
  farm.fail("a", farm.take_assign("a"), FailureKind::kOutOfMemory);
  EXPECT_EQ(farm.job("job").ended, JobState::kFailed);
  EXPECT_THAT(farm.job("job").reason, HasSubstr("a lane 0: holds"));
}

}  // namespace
}  // namespace kiln::coordinator::test
