#include "lane/gpu/slot_ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace kiln::lane {
namespace {

struct Slot {
  int number = 0;
  int uses = 0;  // plain: whoever holds the slot is alone with it
};

std::shared_ptr<SlotRing<Slot>> make_ring(int size) {
  std::vector<std::unique_ptr<Slot>> slots;
  for (int i = 0; i < size; ++i) slots.push_back(std::make_unique<Slot>(Slot{i, 0}));
  return std::make_shared<SlotRing<Slot>>(std::move(slots));
}

TEST(SlotRingTest, TheOneThatCameBackFirstIsTakenFirst) {
  const auto ring = make_ring(3);
  auto a = ring->take();
  auto b = ring->take();
  auto c = ring->take();
  b.reset();
  a.reset();
  c.reset();
  std::vector<std::shared_ptr<Slot>> again;
  for (int i = 0; i < 3; ++i) again.push_back(ring->take());
  EXPECT_EQ(again[0]->number, 1);
  EXPECT_EQ(again[1]->number, 0);
  EXPECT_EQ(again[2]->number, 2);
}

TEST(SlotRingTest, WhileAllAreOutTheNextOneWaits) {
  const auto ring = make_ring(1);
  auto only = ring->take();
  std::atomic<bool> taken{false};
  std::thread next([&] {
    const auto slot = ring->take();
    taken = true;
    ++slot->uses;
  });
  ++only->uses;
  EXPECT_FALSE(taken);
  only.reset();
  next.join();
  EXPECT_EQ(ring->take()->uses, 2);
}

TEST(SlotRingTest, SlotsKeepTheRingAlive) {
  auto ring = make_ring(2);
  const std::weak_ptr<SlotRing<Slot>> watched = ring;
  auto slot = ring->take();
  ring.reset();
  ASSERT_FALSE(watched.expired());
  EXPECT_EQ(slot->number, 0);
  slot.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(SlotRingTest, ThreadsNeverHoldTheSameSlot) {
  constexpr int kThreads = 4;
  constexpr int kUses = 2'000;
  const auto ring = make_ring(kThreads - 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int use = 0; use < kUses; ++use) ++ring->take()->uses;
    });
  }
  for (std::thread& thread : threads) thread.join();
  int sum = 0;
  std::vector<std::shared_ptr<Slot>> all;
  for (int i = 0; i < kThreads - 1; ++i) sum += all.emplace_back(ring->take())->uses;
  EXPECT_EQ(sum, kThreads * kUses);
}

}  // namespace
}  // namespace kiln::lane
