// What lane and compile child may hold together, and how many compile at once, for hosts and cards that people have.
#include "worker/card_rooms.h"

#include <gtest/gtest.h>

#include "base/units.h"
#include "sharding/ring_sizes.h"

namespace kiln::worker {
namespace {

Card card(std::uint64_t memory_bytes, std::uint64_t free_bytes, std::uint64_t context_bytes = 0) {
  Card out;
  out.uuid = "GPU-x";
  out.capability = {8, 6};
  out.memory_bytes = memory_bytes;
  out.free_bytes = free_bytes;
  out.context_bytes = context_bytes;
  return out;
}

WorkerCapability with(std::vector<Card> cards, std::uint64_t cap_bytes = 0) {
  WorkerCapability out;
  out.cards = std::move(cards);
  out.vram_cap_bytes = cap_bytes;
  out.host.cores = 16;
  out.host.memory_bytes = 64_GiB;
  return out;
}

TEST(CardRoomsTest, RoomIsTheCapOrWhatIsFree) {
  const LaneId first{0};
  EXPECT_TRUE(card_rooms(with({})).empty());
  EXPECT_EQ(card_rooms(with({card(24_GiB, 23_GiB)})).at(first).bytes, 23_GiB);
  EXPECT_EQ(card_rooms(with({card(24_GiB, 23_GiB)}, 2_GiB)).at(first).bytes, 2_GiB);
  EXPECT_EQ(card_rooms(with({card(24_GiB, 1_GiB)}, 2_GiB)).at(first).bytes, 1_GiB);
  EXPECT_EQ(card_rooms(with({card(8_GiB, 7_GiB)}, 100_GiB)).at(first).bytes, 7_GiB);
}

TEST(CardRoomsTest, EntriesAreThoseThatLanesArePlannedWith) {
  const WorkerCapability capability = with({card(24_GiB, 23_GiB, 661_MiB), card(11_GiB, 10_GiB)}, 2_GiB);
  const auto rooms = card_rooms(capability);
  ASSERT_EQ(rooms.size(), 2U);
  const CardRoom& room = rooms.at(LaneId{0});
  EXPECT_EQ(room.context_bytes, 704_MiB) << "in whole grains";
  EXPECT_EQ(room.ring_bytes, sharding::ring_limit_bytes(room.activation_bytes));
  EXPECT_EQ(room.activation_bytes, card_budget_bytes(capability.cards[0], 2_GiB));
  EXPECT_EQ(rooms.at(LaneId{1}).context_bytes, 640_MiB) << "600 in whole grains";
}

TEST(CardRoomsTest, CompilesAtOnceAreBoundedByCardsCoresMemoryAndAConstant) {
  struct Row {
    std::size_t cards;
    int cores;
    std::uint64_t memory_bytes;
    int at_once;
  };
  for (const Row& row : {Row{0, 16, 64_GiB, 1}, Row{1, 16, 64_GiB, 1}, Row{2, 16, 64_GiB, 2}, Row{4, 2, 64_GiB, 2},
                         Row{4, 16, 32_GiB, 2}, Row{4, 16, 8_GiB, 1}, Row{16, 128, 2048_GiB, kCompilesAtOnceMax}}) {
    WorkerCapability capability = with(std::vector<Card>(row.cards, card(24_GiB, 23_GiB)));
    capability.host.cores = static_cast<unsigned>(row.cores);
    capability.host.memory_bytes = row.memory_bytes;
    EXPECT_EQ(compiles_at_once(capability, 8_GiB), row.at_once) << row.cards << " cards, " << row.cores << " cores";
  }
}

}  // namespace
}  // namespace kiln::worker
