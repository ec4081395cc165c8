// Bounds of the coordinator's core, and what is counted when one is hit.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

TEST(FarmBoundsTest, ClientsBeyondThoseThatMayWaitAreAnsweredAtOnceAndTheOthersInPasses) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  const std::uint64_t revision = farm.status("job").revision;
  const net::GetJob wait{"job", revision, kWaitMsMax};
  const std::size_t before = farm.replies().size();
  for (std::size_t i = 0; i < kWaitersMax; ++i) (void)farm.ask(wait);
  EXPECT_EQ(farm.replies().size(), before);
  EXPECT_TRUE(std::holds_alternative<net::JobStatus>(farm.ask(wait)));
  EXPECT_EQ(farm.state.live.counters.waiters_full, 1U);
  const std::size_t waited = farm.replies().size();
  farm.say("a", net::TaskProgress{farm.segments[0].task, farm.segments[0].attempt, 7, 0, 0});
  EXPECT_EQ(farm.replies().size(), waited + kWaitersPerPassMax);
  for (std::size_t pass = 1; pass < kWaitersMax / kWaitersPerPassMax; ++pass) farm.tick();
  EXPECT_EQ(farm.replies().size(), waited + kWaitersMax);
  EXPECT_EQ(farm.state.live.counters.waiters_held_back, kWaitersMax / kWaitersPerPassMax - 1);
}

TEST(FarmBoundsTest, OfAJobThatWasRemovedNothingIsKeptAndWhoWaitsForItIsTold) {
  FarmEnv farm;
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    farm.submit(JobBuilder("job"));
    const std::uint64_t revision = farm.status("job").revision;
    EXPECT_GT(revision, last) << "whoever knew the job before sees that it has changed";
    (void)farm.ask(net::ControlJob{"job", net::JobVerb::kCancel});
    last = farm.status("job").revision;
    (void)farm.ask(net::GetJob{"job", last, kWaitMsMax});
    ASSERT_EQ(farm.state.live.waiters.size(), 1U);
    (void)farm.ask(net::ControlJob{"job", net::JobVerb::kRemove});
    EXPECT_TRUE(farm.state.live.waiters.empty());
    EXPECT_THAT(std::get<net::Refused>(farm.replies().back()).error.message, ::testing::HasSubstr("job"));
  }
  EXPECT_TRUE(farm.state.live.revisions.empty());
  EXPECT_TRUE(farm.state.live.results_dropped.empty());
  EXPECT_TRUE(farm.state.live.artifact_losses.empty());
}

TEST(FarmBoundsTest, ATaskThatIsTriedOftenTellsOfItsLatestTries) {
  FarmRules rules;
  rules.failures[net::FailureKind::kLostLane].attempts = 1'000;
  FarmEnv farm(rules);
  farm.connect(WorkerBuilder("a"));
  farm.submit(JobBuilder("job"));
  net::Assign probe = farm.take_assign("a");
  for (std::size_t i = 0; i < kAttemptsKept + 4; ++i) {
    farm.fail("a", probe, net::FailureKind::kLostLane);
    probe = farm.take_assign("a");
  }
  const auto& attempts = farm.state.durable.tasks.at(probe.task).attempts;
  EXPECT_EQ(attempts.size(), kAttemptsKept);
  EXPECT_EQ(attempts.back().attempt, probe.attempt);
  EXPECT_EQ(farm.state.live.counters.attempts_forgotten, 5U);
}

TEST(FarmBoundsTest, SizesOfLanesBeyondThoseThatAProbePlansForAreCounted) {
  FarmEnv farm;
  const auto name = [](std::uint64_t number) { return fmt::format("w{}", number); };
  for (std::uint64_t i = 1; i <= kBudgetsMax + 3; ++i) farm.connect(WorkerBuilder(name(i)).budget(i * kBigBudget));
  farm.submit(JobBuilder("job"));
  std::vector<std::uint64_t> budgets;
  for (std::uint64_t i = 1; i <= kBudgetsMax + 3; ++i) {
    for (const net::Assign& task : farm.take_assigns(name(i))) {
      budgets = std::get<net::ProbeSpec>(task.spec).budgets_bytes;
    }
  }
  ASSERT_EQ(budgets.size(), kBudgetsMax);
  EXPECT_EQ(budgets.front(), kBigBudget);
  EXPECT_EQ(budgets.back(), (kBudgetsMax + 3) * kBigBudget);
  EXPECT_EQ(farm.state.live.counters.budgets_left_out, 3U);
}

TEST(FarmBoundsTest, ALaneForgetsHowFastItRendersTheFirstOfTooManyKindsOfClips) {
  FarmEnv farm;
  farm.clip_frames = 8;
  farm.connect(WorkerBuilder("a").no_compiler());
  for (std::size_t i = 1; i <= kSpeedsKept + 3; ++i) {
    farm.tile_width = static_cast<int>(i);
    farm.submit(JobBuilder(fmt::format("job-{}", i)).executor("uncompiled"));
    farm.run_to_end();
  }
  const LaneLive& lane = farm.state.live.workers.at("a").lanes.at(LaneId{0});
  EXPECT_EQ(lane.frames_per_second.size(), kSpeedsKept);
  EXPECT_EQ(farm.state.live.counters.speeds_forgotten, 3U);
}

TEST(FarmBoundsTest, SegmentsThatHadToBeLongerThanTheRulesSayAreCounted) {
  for (const std::int64_t frames : {kSegmentsPerClipMax, 100 * kSegmentsPerClipMax}) {
    FarmEnv farm;
    farm.clip_frames = frames;
    farm.connect(WorkerBuilder("a").no_compiler());
    farm.submit(JobBuilder("job").executor("uncompiled"));
    farm.finish("a", farm.take_assign("a"));
    (void)farm.take_assign("a");
    EXPECT_EQ(farm.state.live.counters.segments_lengthened, frames > kSegmentsPerClipMax ? 1U : 0U);
  }
}

}  // namespace
}  // namespace kiln::coordinator::test
