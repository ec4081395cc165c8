#include "lane/pipelines/fair_queues.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace kiln::lane {
namespace {

constexpr auto kAny = [](std::size_t) { return true; };

TEST(FairQueuesTest, ChannelsAreTakenInTurn) {
  FairQueues<int> queues(3, 4);
  for (const int value : {0, 1, 2}) queues.push(0, value);
  queues.push(1, 10);
  queues.push(2, 20);
  queues.push(2, 21);
  std::vector<int> taken;
  for (int i = 0; i < 6; ++i) taken.push_back(queues.pop(kAny)->value);
  EXPECT_EQ(taken, (std::vector<int>{0, 10, 20, 1, 21, 2}));
}

TEST(FairQueuesTest, AChannelThatMayNotBeTakenHoldsUpNoOther) {
  FairQueues<int> queues(2, 4);
  queues.push(0, 0);
  queues.push(1, 10);
  queues.push(1, 11);
  const auto not_the_first = [](std::size_t channel) { return channel != 0; };
  EXPECT_EQ(queues.pop(not_the_first)->value, 10);
  EXPECT_EQ(queues.pop(not_the_first)->value, 11);
  EXPECT_EQ(queues.pop(kAny)->value, 0);
}

TEST(FairQueuesTest, WaitsUntilThereIsSomethingThatMayBeTaken) {
  FairQueues<int> queues(2, 4);
  std::atomic<bool> open{false};
  std::thread producer([&] {
    queues.push(0, 1);
    open = true;
    queues.poke();
  });
  const auto taken = queues.pop([&](std::size_t) { return open.load(); });
  producer.join();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->value, 1);
}

TEST(FairQueuesTest, FullMeansThatTheProducerOfThatChannelWaits) {
  FairQueues<int> queues(2, 1);
  queues.push(0, 1);
  std::atomic<bool> pushed{false};
  std::thread producer([&] {
    queues.push(0, 2);
    pushed = true;
  });
  queues.push(1, 10);  // another channel has room
  EXPECT_EQ(queues.pop([](std::size_t channel) { return channel == 1; })->value, 10);
  EXPECT_FALSE(pushed);
  EXPECT_EQ(queues.pop(kAny)->value, 1);
  EXPECT_EQ(queues.pop(kAny)->value, 2);
  producer.join();
}

TEST(FairQueuesTest, WhatIsInsideIsStillTakenAfterTheEnd) {
  FairQueues<int> queues(2, 4);
  queues.push(1, 10);
  queues.close();
  EXPECT_FALSE(queues.push(0, 1));
  EXPECT_EQ(queues.pop(kAny)->value, 10);
  EXPECT_FALSE(queues.pop(kAny));
}

}  // namespace
}  // namespace kiln::lane
