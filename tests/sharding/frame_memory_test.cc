#include "sharding/frame_memory.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

TEST(FrameMemoryTest, AWholeFrameAtTheNetworksSizeIsItsOutput) {
  EXPECT_EQ(frame_buffer_bytes({720, 1280, 4, 2880, 5120, 2}, false), 0U);
}

TEST(FrameMemoryTest, AFrameOfTilesIsPutTogether) {
  EXPECT_EQ(frame_buffer_bytes({2160, 3840, 4, 8640, 15360, 2}, true), 3ULL * 8640 * 15360 * 2);
  EXPECT_EQ(frame_buffer_bytes({2160, 3840, 4, 8640, 15360, 4}, true), 3ULL * 8640 * 15360 * 4);
}

TEST(FrameMemoryTest, ASmallerOutputHasABandOfFloatsBetweenTwoPasses) {
  const std::uint64_t rows = 3ULL * kResampleBandRows * 15360 * 4;
  const std::uint64_t output = 3ULL * 4320 * 7680 * 2;
  EXPECT_EQ(frame_buffer_bytes({2160, 3840, 4, 4320, 7680, 2}, false), rows + output);
  EXPECT_EQ(frame_buffer_bytes({2160, 3840, 4, 4320, 7680, 2}, true), rows + output + 3ULL * 8640 * 15360 * 2);
  EXPECT_EQ(frame_buffer_bytes({60, 90, 4, 120, 180, 2}, false), 3ULL * (120 * 360 * 4 + 120 * 180 * 2));
}

}  // namespace
}  // namespace kiln::sharding
