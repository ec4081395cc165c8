#include "sharding/ring_sizes.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

TEST(RingSlotsTest, KeepEveryChannelBusyOrHaveRoom) {
  const RingSizes free{4, 2, 0};
  EXPECT_EQ(ring_slots(free, 1, 7, 22), (RingSlots{4, 20, 17}));
  EXPECT_EQ(ring_slots({4, 2, 1000}, 1, 7, 22), (RingSlots{4, 20, 17}));
  EXPECT_EQ(ring_slots({4, 2, 200}, 1, 7, 22), (RingSlots{4, 14, 4}));
  EXPECT_EQ(ring_slots({1, 3, 1}, 1, 7, 22), (RingSlots{1, 2, 2}));
}

TEST(RingSlotsTest, OutputsWaitForTheirEncoderWhereEnoughAreLeft) {
  EXPECT_TRUE(ring_slots({4, 2, 0}, 1, 7, 22).outputs_can_wait());
  EXPECT_TRUE((RingSlots{4, 14, 9}).outputs_can_wait());
  EXPECT_FALSE((RingSlots{4, 14, 8}).outputs_can_wait());
  EXPECT_FALSE(ring_slots({4, 2, 200}, 1, 7, 22).outputs_can_wait());
}

TEST(RingSlotsTest, LargeFramesInLittleRoomHaveFewerChannels) {
  // 3840x2160 in float16 to 7680x4320, in a quarter of a GiB: MB.
  EXPECT_EQ(ring_slots({4, 2, 268}, 1, 62, 50), (RingSlots{1, 2, 2}));
  EXPECT_EQ(ring_slots({4, 2, 410}, 1, 62, 50), (RingSlots{4, 5, 2}));
  EXPECT_EQ(ring_slots({4, 2, 10}, 3, 7, 22), (RingSlots{1, 4, 2}));  // the least with which nobody waits for ever
}

}  // namespace
}  // namespace kiln::sharding
