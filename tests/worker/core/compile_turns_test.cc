// A card whose memory does not hold both: its lane and its compile child take turns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/core/worker_rig.h"

namespace kiln::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::uint64_t kLargeFrames = 1000 * kMiB;
constexpr CardRoom kSmall{2048 * kMiB, 704 * kMiB, 256 * kMiB, 1088 * kMiB};
constexpr CardRoom kLarge{80'000 * kMiB, 704 * kMiB, 10'000 * kMiB, 46'000 * kMiB};
constexpr TaskKey kSeven{7, Attempt{1}};
constexpr TaskKey kEight{8, Attempt{1}};
constexpr TaskKey kNine{9, Attempt{1}};

net::Assign segment(std::uint64_t task, std::uint32_t lane = 0) {
  net::Assign out = WorkerRig::segment(task, 1, lane);
  std::get<net::SegmentSpec>(out.spec).activation_bytes = kLargeFrames;
  return out;
}
net::Assign compile(std::uint64_t task, std::uint32_t lane = 0) { return WorkerRig::compile(task, 1, lane, kLargeFrames); }

SlotStatus status(const WorkerRig& rig, std::uint32_t lane = 0) { return rig.state().slots.at(LaneId{lane}).status; }

TEST(CompileTurnsTest, WhereBothFitNobodyWaits) {
  WorkerRig rig({kLarge}, 1);
  rig.settle_in();
  rig.run(segment(7));
  rig.say(compile(9));
  EXPECT_THAT(rig.tell(Prepared{kNine}), ElementsAre("run 9#1"));
  rig.say(segment(8));
  EXPECT_THAT(rig.tell(Prepared{kEight}), ElementsAre("run 8#1"));
  EXPECT_THAT(rig.tell(RunDone{kNine}), ElementsAre("store 9#1"));
  EXPECT_EQ(rig.state().counters.compile_turns, 0U);
}

TEST(CompileTurnsTest, CompileWaitsForWhatIsAtWorkAndWhatComesLaterWaitsForIt) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.run(segment(7));
  rig.say(compile(9));
  EXPECT_THAT(rig.tell(Prepared{kNine}), IsEmpty());
  rig.say(segment(8));
  EXPECT_THAT(rig.tell(Prepared{kEight}), IsEmpty()) << "held back, though the lane may run two";
  rig.wait(WorkerTime{1'000});
  EXPECT_THAT(rig.tell(RunDone{kSeven}), ElementsAre("store 7#1", "release 0", "run 9#1", "send heartbeat"));
  EXPECT_EQ(status(rig), SlotStatus::kReleased);
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), ElementsAre("send done 7#1"));
  EXPECT_THAT(rig.wait(WorkerTime{300'000}), Not(Contains("start 0"))) << "however long it takes";
  EXPECT_THAT(rig.tell(RunDone{kNine}), ElementsAre("store 9#1", "start 0", "send heartbeat"));
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), ElementsAre("drop compiler 0", "run 8#1"));
  EXPECT_EQ(rig.state().counters.compile_turns, 1U);
  EXPECT_EQ(rig.state().counters.compile_turns_waited, WorkerTime{1'000});
}

TEST(CompileTurnsTest, TheCoordinatorHearsWhichLaneWaits) {
  WorkerRig rig({kSmall, kSmall}, 2);
  rig.settle_in();
  rig.run(compile(9, 1));
  const auto told = [&]() -> std::vector<LaneId> {
    for (const WorkerEffect& effect : rig.effects()) {
      const auto* send = std::get_if<Send>(&effect);
      if (send == nullptr) continue;
      if (const auto* heartbeat = std::get_if<net::Heartbeat>(&send->message)) return heartbeat->waiting_lanes;
    }
    return {LaneId{99}};
  };
  EXPECT_THAT(told(), ElementsAre(LaneId{1}));
  rig.tell(RunDone{kNine});
  EXPECT_THAT(told(), IsEmpty());
}

TEST(CompileTurnsTest, WhatTheLaneHadWhenTheCompileCameGoesFirst) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.say(segment(7));
  rig.run(compile(9));
  EXPECT_EQ(status(rig), SlotStatus::kUp) << "its first frames come before";
  EXPECT_THAT(rig.tell(Prepared{kSeven}), ElementsAre("run 7#1"));
  EXPECT_THAT(rig.tell(RunDone{kSeven}), Contains("run 9#1"));
}

// One compile after the other, and segments: each is waited for by what came after it, and by nothing else.
TEST(CompileTurnsTest, NeitherStarves) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.run(compile(20));
  for (std::uint64_t i = 0; i < 5; ++i) {
    const std::uint64_t task = 30 + 2 * i;
    rig.say(segment(task));
    rig.tell(Prepared{{task, Attempt{1}}});
    rig.say(compile(task + 1));
    EXPECT_THAT(rig.tell(Prepared{{task + 1, Attempt{1}}}), IsEmpty());
    const std::uint64_t before = i == 0 ? 20 : task - 1;
    EXPECT_THAT(rig.tell(RunDone{{before, Attempt{1}}}), Contains("start 0"));
    EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), Contains("run " + std::to_string(task) + "#1"));
    EXPECT_THAT(rig.tell(RunDone{{task, Attempt{1}}}), Contains("run " + std::to_string(task + 1) + "#1"));
  }
}

TEST(CompileTurnsTest, WhatTheStoreHasTakesNothingOfTheCard) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.run(segment(7));
  rig.say(compile(9));
  EXPECT_THAT(rig.tell(Prepared{kNine, true}), ElementsAre("run 9#1"));
  EXPECT_EQ(status(rig), SlotStatus::kUp);
  EXPECT_THAT(rig.tell(RunDone{kNine}), ElementsAre("store 9#1"));
}

TEST(CompileTurnsTest, LaneThatDiesWhileItsCompileWaitsLeavesTheCardToIt) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.run(segment(7));
  rig.run(compile(9));
  EXPECT_THAT(rig.tell(LaneIsLost{LaneId{0}, net::FailureKind::kCrash, "x"}), 
              ElementsAre("start 0", "log 7#1", "release 0", "run 9#1", "send heartbeat"));
  // Late words of the process that is gone change nothing.
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), IsEmpty());
  EXPECT_THAT(rig.tell(LaneIsLost{LaneId{0}, net::FailureKind::kCrash, "x"}), IsEmpty());
  EXPECT_EQ(status(rig), SlotStatus::kReleased);
}

TEST(CompileTurnsTest, CompileThatIsCalledOffLetsTheLaneGoOn) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.run(segment(7));
  rig.run(compile(9));
  rig.say(segment(8));
  EXPECT_THAT(rig.tell(Prepared{kEight}), IsEmpty());
  EXPECT_THAT(rig.say(net::CancelTask{9, Attempt{1}, ""}), ElementsAre("drop 9#1"));
  EXPECT_THAT(rig.wait(WorkerTime{100}), Contains("run 8#1"));

  rig.tell(RunDone{kSeven});
  rig.tell(RunDone{kEight});
  rig.run(compile(10));
  EXPECT_THAT(rig.say(net::CancelTask{10, Attempt{1}, ""}), ElementsAre("cancel 10#1"));
  EXPECT_THAT(rig.tell(RunFailed{{10, Attempt{1}}, {net::FailureKind::kError, "cancelled", "x", -1}}), Contains("start 0"));
}

TEST(CompileTurnsTest, CompileGivesUpWaitingAfterAWhile) {
  WorkerRig rig({kSmall}, 1);
  rig.settle_in();
  rig.run(segment(7));
  rig.run(compile(9));
  const WorkerTime patience = rig.state().rules.compile_turn_patience;
  EXPECT_THAT(rig.wait(patience / 2), Not(Contains("send failed 9#1 lost")));
  rig.tell(LaneIsAlive{LaneId{0}});
  EXPECT_THAT(rig.wait(patience / 2), Contains("send failed 9#1 lost"));
  EXPECT_EQ(rig.state().counters.compile_turns_given_up, 1U);
  rig.say(segment(8));
  EXPECT_THAT(rig.tell(Prepared{kEight}), ElementsAre("run 8#1"));
}

TEST(CompileTurnsTest, CardsCompileSideBySideAsFarAsTheHostCarriesIt) {
  WorkerRig rig({kLarge, kLarge, kLarge}, 2);
  rig.settle_in();
  rig.run(compile(10, 0));
  rig.say(compile(11, 1));
  EXPECT_THAT(rig.tell(Prepared{{11, Attempt{1}}}), ElementsAre("run 11#1"));
  rig.say(compile(12, 2));
  EXPECT_THAT(rig.tell(Prepared{{12, Attempt{1}}}), IsEmpty());
  rig.wait(WorkerTime{100});
  EXPECT_EQ(rig.state().counters.compiles_held_back, 1U);
  EXPECT_THAT(rig.tell(RunDone{{10, Attempt{1}}}), ElementsAre("store 10#1", "run 12#1"));
}

TEST(CompileTurnsTest, OneThatCompilesThereAlreadyIsWaitedFor) {
  WorkerRig rig({kLarge}, 4);
  rig.settle_in();
  rig.run(compile(10));
  rig.say(compile(11));
  EXPECT_THAT(rig.tell(Prepared{{11, Attempt{1}}}), IsEmpty());
  EXPECT_THAT(rig.tell(RunDone{{10, Attempt{1}}}), ElementsAre("store 10#1", "run 11#1"));
}

TEST(CompileTurnsTest, PlaceThatThisWorkerHasNotIsTurnedDown) {
  WorkerRig rig({kLarge}, 1);
  rig.settle_in();
  EXPECT_THAT(rig.say(compile(9, 3)), ElementsAre("send failed 9#1 lost"));
}

}  // namespace
}  // namespace kiln::worker
