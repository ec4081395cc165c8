// What lanes are given beside what they have.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

using std::chrono::milliseconds;

// 0.1 s a frame is known from the first segment; the second is at work.
struct RenderingFarm : ProbedFarm {
  explicit RenderingFarm(std::int64_t segment_frames) : ProbedFarm(JobBuilder("job").segment_frames(segment_frames)) {
    finish("a", compile);
    finish("a", segments[0]);
    at_work = take_assigns("a");
  }
  void progress(const net::Assign& task, std::int64_t frames) {
    say("a", net::TaskProgress{task.task, task.attempt, frames, 0, 0});
  }
  std::vector<net::Assign> at_work;
};

TEST(LaneRoomTest, TheNextSegmentComesShortlyBeforeTheEndOfTheOneAtWork) {
  RenderingFarm farm(40);
  ASSERT_EQ(farm.at_work.size(), 1U);
  farm.pass(milliseconds(1'900));
  farm.progress(farm.at_work[0], 19);  // 2.1 s are left
  EXPECT_TRUE(farm.take_assigns("a").empty());
  farm.pass(milliseconds(100));
  farm.progress(farm.at_work[0], 20);
  EXPECT_EQ(segment(farm.take_assign("a")).first, 80);
  farm.progress(farm.at_work[0], 40);
  EXPECT_TRUE(farm.take_assigns("a").empty());  // it has two
}

TEST(LaneRoomTest, ShortSegmentsComeTwoAtATime) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  farm.finish("a", farm.at_work[0]);
  const net::Assign third = farm.take_assign("a");
  farm.finish("a", farm.at_work[1]);
  farm.finish("a", third);
  farm.run_to_end();
  EXPECT_EQ(farm.status("job").summary.state, net::JobState::kDone);
  EXPECT_EQ(farm.status("job").clips[0].segments.size(), 10U);
}

TEST(LaneRoomTest, ASegmentThatWaitsBehindAnotherIsNotSaidToRun) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  const auto answer = [&](const net::Assign& task) {
    return std::get<net::Explanation>(farm.ask(net::Explain{task.task, ""})).lines.at(0);
  };
  const std::pair numbers{farm.at_work[0].task, farm.at_work[1].task};
  EXPECT_EQ(answer(farm.at_work[0]), fmt::format("task {} runs on a lane 0, attempt 1", numbers.first));
  EXPECT_EQ(answer(farm.at_work[1]),
            fmt::format("task {} is the next of a lane 0, which is at task {}; attempt 1", numbers.second, numbers.first));
  farm.finish("a", farm.at_work[0]);
  (void)farm.take_assigns("a");
  EXPECT_EQ(answer(farm.at_work[1]), fmt::format("task {} runs on a lane 0, attempt 1", numbers.second));
}

TEST(LaneRoomTest, ASegmentThatGoesFasterThanTheLastIsFollowedInTime) {
  RenderingFarm farm(40);
  farm.pass(milliseconds(500));
  farm.progress(farm.at_work[0], 35);  // 70 frames a second, where 10 were known
  EXPECT_EQ(farm.take_assigns("a").size(), 1U);
}

// Two lanes that never rendered anything before share a clip of 100 frames: the second pieces are cut by how the first ones go.
TEST(LaneRoomTest, ASecondPieceIsCutByTheSpeedOfTheFirst) {
  ProbedFarm farm(JobBuilder("job"), 2);
  farm.finish("a", farm.compile);
  ASSERT_EQ(farm.segments.size(), 2U);  // 16 frames each
  farm.pass(milliseconds(10'000));
  for (const net::Assign& task : farm.segments) farm.say("a", net::TaskProgress{task.task, task.attempt, 15, 0, 0});
  const std::vector<net::Assign> next = farm.take_assigns("a");
  ASSERT_EQ(next.size(), 2U);
  for (const net::Assign& task : next) {  // 1.5 frames a second, ten seconds of them; 8 while nothing is known
    EXPECT_EQ(segment(task).last - segment(task).first, 15);
  }
}

TEST(LaneRoomTest, AllFramesRenderedMakeRoomWhateverTheSpeed) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  EXPECT_TRUE(farm.take_assigns("a").empty());
  farm.say("a", net::TaskProgress{farm.segments[0].task, farm.segments[0].attempt, 10, 0, 0});
  EXPECT_EQ(segment(farm.take_assign("a")).first, 10);
}

TEST(LaneRoomTest, AnIdleLaneComesBeforeOneThatWouldBeGivenWorkAhead) {
  ProbedFarm farm(JobBuilder("job").segment_frames(40), 2);  // 40, 40 and 20 frames: one of three is left
  farm.finish("a", farm.compile);
  ASSERT_EQ(farm.segments.size(), 2U);
  const auto on_lane_1 = std::find_if(farm.segments.begin(), farm.segments.end(),
                                      [](const net::Assign& task) { return task.lane.value == 1; });
  farm.finish("a", *on_lane_1);
  EXPECT_EQ(farm.take_assign("a").lane.value, 1U);
}

TEST(LaneRoomTest, ProbesAndJoinsRunBesideSegments) {
  FarmEnv farm;
  farm.clip_frames = 40;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("job", 2));
  const net::Assign probe = farm.take_assign("a");  // one at a time
  farm.finish("a", probe);
  const std::vector<net::Assign> both = farm.take_assigns("a");
  ASSERT_EQ(both.size(), 2U);
  const auto count = [&](const auto& is) { return std::count_if(both.begin(), both.end(), is); };
  EXPECT_EQ(count([](const net::Assign& task) { return std::holds_alternative<net::SegmentSpec>(task.spec); }), 1);
  EXPECT_EQ(count([](const net::Assign& task) { return std::holds_alternative<net::ProbeSpec>(task.spec); }), 1);
}

TEST(LaneRoomTest, AWorkerThatComesBackKeepsAllThatItsLaneWorksOn) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  WorkerBuilder same("a");
  for (const net::Assign& task : farm.at_work) same.still_runs(task, LaneId{0});
  farm.connect(same);
  EXPECT_TRUE(farm.take_assigns("a").empty());
  farm.finish("a", farm.at_work[1]);
  farm.finish("a", farm.at_work[0]);
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 30);
}

// A task that stayed on another lane than its own would be there for ever.
TEST(LaneRoomTest, AWorkerThatNamesATaskTwiceOrAtAnotherLaneGetsItOnItsOwn) {
  ProbedFarm farm(JobBuilder("job").segment_frames(40), 2);
  farm.finish("a", farm.compile);
  ASSERT_EQ(farm.segments.size(), 2U);
  WorkerBuilder same("a", 2);
  for (const net::Assign& task : farm.segments) {
    same.still_runs(task, task.lane);
    same.still_runs(task, LaneId{1 - task.lane.value});
  }
  farm.connect(same);
  for (const auto& [id, lane] : farm.state.live.workers.at("a").lanes) EXPECT_EQ(lane.tasks.size(), 1U) << id.value;
  for (const net::Assign& task : farm.segments) farm.finish("a", task);
  farm.run_to_end();
  EXPECT_EQ(farm.status("job").summary.state, net::JobState::kDone);
}

TEST(LaneRoomTest, OfTwoAssignmentsTheOneThatWasLostIsToldAgain) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  farm.pass(milliseconds(5'000));
  farm.say("a", net::Heartbeat{0, {{farm.at_work[0].task, farm.at_work[0].attempt, LaneId{0}}}});
  EXPECT_EQ(farm.take_assign("a").task, farm.at_work[1].task);
}

TEST(LaneRoomTest, ALaneThatIsGoneLosesAllItsTasks) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  net::LaneChanged down;
  down.offer = farm.state.live.workers.at("a").lanes.at(LaneId{0}).offer;
  down.up = false;
  farm.say("a", down);
  EXPECT_EQ(farm.job("job").waiting.size(), 2U);
  EXPECT_TRUE(farm.state.live.workers.at("a").lanes.at(LaneId{0}).idle());
}

// They fail there in turns, as on a full disk: the job ends with what they say, and not since nobody is left.
TEST(LaneRoomTest, OfTwoTasksThatFailOnTheOnlyLaneEachHasItsTries) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  const auto full = [&](const net::Assign& task) {
    farm.say("a", net::TaskFailed{task.task, task.attempt, {net::FailureKind::kError, "resource_exhausted", "no room", 74}, {}});
  };
  std::vector<net::Assign> due = farm.at_work;
  for (int i = 0; i < 10 && !due.empty() && !farm.job("job").ended; ++i) {
    full(due.front());
    due.erase(due.begin());
    for (net::Assign& task : farm.take_assigns("a")) due.push_back(std::move(task));
  }
  EXPECT_EQ(farm.job("job").ended, net::JobState::kFailed);
  EXPECT_EQ(farm.job("job").exit, 74);
}

// Else it would give each task back, until that was lost too often.
TEST(LaneRoomTest, AWorkerThatSaysThatItLeavesGetsNothingAhead) {
  RenderingFarm farm(10);
  ASSERT_EQ(farm.at_work.size(), 2U);
  net::Heartbeat leaving;
  for (const net::Assign& task : farm.at_work) leaving.running.push_back({task.task, task.attempt, LaneId{0}});
  leaving.leaving = true;
  farm.say("a", leaving);
  farm.finish("a", farm.at_work[0]);
  EXPECT_TRUE(farm.take_assigns("a").empty());
}

TEST(LaneRoomTest, AWorkerThatComesBackLeavingGetsNothing) {
  RenderingFarm farm(10);
  WorkerBuilder same("a");
  same.still_runs(farm.at_work[0], LaneId{0});
  same.hello.leaving = true;
  farm.connect(same);
  EXPECT_TRUE(farm.take_assigns("a").empty());
}

}  // namespace
}  // namespace kiln::coordinator::test
