#include "sharding/segment_assignment.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace kiln::sharding {
namespace {

using Effects = std::vector<AssignmentEffect>;

// One word an effect: "assign 0->1#2" is segment 0 to lane 1, second try.
std::string word(const AssignmentEffect& effect) {
  struct Words {
    std::string operator()(const AssignSegment& e) const {
      return fmt::format("assign {}->{}#{}", e.segment.value, e.lane.value, e.attempt.value);
    }
    std::string operator()(const SegmentFinished& e) const {
      return fmt::format("finished {}", e.segment.value);
    }
    std::string operator()(const RestartLane& e) const {
      return fmt::format("restart {}", e.lane.value);
    }
    std::string operator()(const RetireLane& e) const {
      return fmt::format("retire {}", e.lane.value);
    }
    std::string operator()(const DropResult& e) const {
      return fmt::format("drop {}", e.segment.value);
    }
    std::string operator()(const JobDone&) const { return "done"; }
    std::string operator()(const JobFailed&) const { return "failed"; }
  };
  return std::visit(Words{}, effect);
}

std::vector<std::string> words(const Effects& effects) {
  std::vector<std::string> all;
  for (const AssignmentEffect& effect : effects) all.push_back(word(effect));
  return all;
}

using W = std::vector<std::string>;

AssignmentState a_job(std::int64_t segments, std::vector<std::uint32_t> lanes,
                      std::vector<SegmentId> finished = {}) {
  std::vector<LaneId> ids;
  for (const std::uint32_t lane : lanes) ids.push_back(LaneId{lane});
  return *begin_assignment(segments, finished, ids);
}

SegmentDone done(std::uint32_t lane, std::uint32_t segment, std::uint32_t attempt = 1) {
  return {LaneId{lane}, SegmentId{segment}, Attempt{attempt}};
}
SegmentFailed failed(std::uint32_t lane, std::uint32_t segment, std::uint32_t attempt,
                     FailureClass failure = FailureClass::kError) {
  return {LaneId{lane}, SegmentId{segment}, Attempt{attempt}, failure, "it broke"};
}
LaneUp up(std::uint32_t lane) {
  return {LaneId{lane}};
}
LaneLost lost(std::uint32_t lane) {
  return {LaneId{lane}, "killed by signal 9"};
}

TEST(SegmentAssignmentTest, GivesSegmentsOutInOrderAndEnds) {
  AssignmentState state = a_job(3, {0, 1});
  EXPECT_EQ(words(settle(state)), W{});
  EXPECT_EQ(words(step(state, up(0))), W{"assign 0->0#1"});
  EXPECT_EQ(words(step(state, up(1))), W{"assign 1->1#1"});
  EXPECT_EQ(words(step(state, done(1, 1))), (W{"finished 1", "assign 2->1#1"}));
  EXPECT_EQ(words(step(state, done(0, 0))), W{"finished 0"});
  EXPECT_EQ(words(step(state, done(1, 2))), (W{"finished 2", "done"}));
}

TEST(SegmentAssignmentTest, GoesOnWithWhatAnEarlierRunLeft) {
  AssignmentState state = a_job(3, {0}, {SegmentId{0}, SegmentId{2}, SegmentId{2}});
  EXPECT_EQ(words(step(state, up(0))), W{"assign 1->0#1"});
  EXPECT_EQ(words(step(state, done(0, 1))), (W{"finished 1", "done"}));
  AssignmentState all = a_job(1, {0}, {SegmentId{0}});
  EXPECT_EQ(words(settle(all)), W{"done"});
  EXPECT_EQ(words(settle(all)), W{});
}

TEST(SegmentAssignmentTest, RefusesFinishedSegmentsOfAnotherPlan) {
  const auto state = begin_assignment(2, {SegmentId{2}}, {LaneId{0}});
  ASSERT_FALSE(state);
  EXPECT_EQ(exit_code(state.error()), 65);
}

TEST(SegmentAssignmentTest, GivesALostLanesSegmentOutAgainAndDropsItsLateResult) {
  AssignmentState state = a_job(2, {0, 1});
  (void)step(state, up(0));
  (void)step(state, up(1));
  EXPECT_EQ(words(step(state, lost(0))), W{"restart 0"});
  EXPECT_EQ(words(step(state, done(1, 1))), (W{"finished 1", "assign 0->1#2"}));
  EXPECT_EQ(words(step(state, done(0, 0, 1))), W{"drop 0"});
  EXPECT_EQ(words(step(state, done(1, 0, 2))), (W{"finished 0", "done"}));
  EXPECT_EQ(state.dropped_count, 1);
}

TEST(SegmentAssignmentTest, ALoneLaneTriesAgainItself) {
  AssignmentState state = a_job(1, {0});
  (void)step(state, up(0));
  EXPECT_EQ(words(step(state, lost(0))), W{"restart 0"});
  EXPECT_EQ(words(step(state, up(0))), W{"assign 0->0#2"});
  EXPECT_EQ(words(step(state, done(0, 0, 2))), (W{"finished 0", "done"}));
}

TEST(SegmentAssignmentTest, FailsAfterThreeTriesOfAnError) {
  AssignmentState state = a_job(2, {0});
  (void)step(state, up(0));
  EXPECT_EQ(words(step(state, failed(0, 0, 1))), W{"assign 0->0#2"});
  EXPECT_EQ(words(step(state, failed(0, 0, 2))), W{"assign 0->0#3"});
  const Effects effects = step(state, failed(0, 0, 3));
  ASSERT_EQ(words(effects)[0], "failed");
  EXPECT_EQ(std::get<JobFailed>(effects[0]).reason, "segment 0 failed after 3 tries: it broke");
  EXPECT_NE(explain(state, SegmentId{1}).find("will not start"), std::string::npos);
}

TEST(SegmentAssignmentTest, BadInputFailsAtOnceAndWhatRunsMayEnd) {
  AssignmentState state = a_job(4, {0, 1});
  (void)step(state, up(0));
  (void)step(state, up(1));
  EXPECT_EQ(words(step(state, failed(0, 0, 1, FailureClass::kBadInput))), W{"failed"});
  EXPECT_EQ(words(step(state, done(1, 1))), W{"finished 1"});
  EXPECT_EQ(words(step(state, failed(1, 1, 1))), W{"drop 1"});
}

TEST(SegmentAssignmentTest, OneBadLaneIsRetiredAndFailsNoJob) {
  AssignmentState state = a_job(6, {0, 1});
  (void)step(state, up(1));  // works on 0
  EXPECT_EQ(words(step(state, up(0))), W{"assign 1->0#1"});
  EXPECT_EQ(words(step(state, failed(0, 1, 1))), W{"assign 2->0#1"});
  EXPECT_EQ(words(step(state, failed(0, 2, 1))), W{"assign 3->0#1"});
  EXPECT_EQ(words(step(state, failed(0, 3, 1))), W{"retire 0"});
  EXPECT_EQ(words(step(state, lost(0))), W{});
  for (std::uint32_t segment = 0; segment < 6; ++segment) {
    (void)step(state, done(1, segment, segment >= 1 && segment <= 3 ? 2 : 1));
  }
  EXPECT_TRUE(state.all_done());
}

TEST(SegmentAssignmentTest, EndsWhenNoLaneIsLeft) {
  AssignmentState state = a_job(9, {0});
  EXPECT_EQ(words(step(state, lost(0))), W{"restart 0"});
  EXPECT_EQ(words(step(state, lost(0))), W{"restart 0"});
  EXPECT_EQ(words(step(state, lost(0))), (W{"retire 0", "failed"}));
  EXPECT_EQ(words(step(state, up(0))), W{});
}

TEST(SegmentAssignmentTest, StopsOnRequestAndTakesWhatRuns) {
  AssignmentState state = a_job(3, {0});
  (void)step(state, up(0));
  EXPECT_EQ(words(step(state, StopAssigning{"interrupted"})), W{});
  EXPECT_EQ(words(step(state, done(0, 0))), W{"finished 0"});
  EXPECT_FALSE(state.ended);
  EXPECT_EQ(explain(state, SegmentId{2}), "segment 2 is waiting and will not start: interrupted");
}

TEST(SegmentAssignmentTest, ExplainsEachState) {
  AssignmentState state = a_job(3, {0});
  (void)step(state, up(0));
  EXPECT_EQ(explain(state, SegmentId{0}), "segment 0 is running on lane 0, try 1");
  EXPECT_NE(explain(state, SegmentId{2}).find("1 ahead of it"), std::string::npos);
  EXPECT_NE(explain(state, SegmentId{7}).find("no such segment"), std::string::npos);
}

// A farm of lanes that crash, fail, repeat themselves and report late, driven by random choices.
// Lane 0 is good.
class RandomFarm {
 public:
  RandomFarm(std::int64_t segments, std::uint32_t lanes) {
    std::vector<LaneId> ids;
    for (std::uint32_t lane = 0; lane < lanes; ++lane) ids.push_back(LaneId{lane});
    std::vector<SegmentId> finished;
    for (std::uint32_t i = 0; i < segments; ++i) {
      if (*rc::gen::inRange(0, 5) == 0) finished.push_back(SegmentId{i});
    }
    for (const SegmentId id : finished) finished_[id] += 1;
    state_ = *begin_assignment(segments, finished, ids);
    take(settle(state_));
    for (const LaneId lane : ids) take(step(state_, LaneUp{lane}));
  }

  // One random event about a random running try; false where nothing runs.
  bool turn() {
    if (running_.empty()) return false;
    const AssignSegment run = running_[*rc::gen::inRange<std::size_t>(0, running_.size())];
    const int choice = run.lane.value == 0 ? 0 : *rc::gen::inRange(0, 5);
    if (choice == 0) {
      end(run.lane);
      take(step(state_, SegmentDone{run.lane, run.segment, run.attempt}));
      take(step(state_, SegmentDone{run.lane, run.segment, run.attempt}));  // said twice
    } else if (choice == 1) {
      end(run.lane);
      take(step(state_,
                SegmentFailed{run.lane, run.segment, run.attempt, FailureClass::kError, "broke"}));
    } else if (choice == 2) {
      end(run.lane);
      take(step(state_, LaneLost{run.lane, "died"}));
      take(step(state_,
                SegmentDone{run.lane, run.segment, run.attempt}));  // was still in the socket
    } else {
      take(step(state_,
                SegmentDone{run.lane, run.segment, Attempt{run.attempt.value + 1}}));  // nonsense
    }
    return true;
  }

  void check() const {
    for (const auto& [id, times] : finished_) RC_ASSERT(times == 1);
    std::set<SegmentId> running;
    std::set<LaneId> lanes;
    for (const AssignSegment& run : running_) {
      RC_ASSERT(running.insert(run.segment).second);
      RC_ASSERT(lanes.insert(run.lane).second);
      RC_ASSERT(!finished_.contains(run.segment));
    }
  }

  [[nodiscard]] const AssignmentState& state() const { return state_; }
  [[nodiscard]] std::size_t finished_count() const { return finished_.size(); }
  [[nodiscard]] int job_done_count() const { return job_done_count_; }
  [[nodiscard]] bool job_failed() const { return job_failed_; }

 private:
  void end(LaneId lane) {
    std::erase_if(running_, [&](const AssignSegment& run) { return run.lane == lane; });
  }

  void take(const Effects& effects) {
    for (const AssignmentEffect& effect : effects) {
      if (const auto* assigned = std::get_if<AssignSegment>(&effect)) running_.push_back(*assigned);
      if (const auto* finished = std::get_if<SegmentFinished>(&effect))
        finished_[finished->segment] += 1;
      if (std::holds_alternative<JobDone>(effect)) job_done_count_ += 1;
      if (std::holds_alternative<JobFailed>(effect)) job_failed_ = true;
      if (const auto* restart = std::get_if<RestartLane>(&effect)) {
        take(step(state_, LaneUp{restart->lane}));
      }
    }
  }

  AssignmentState state_;
  std::vector<AssignSegment> running_;
  std::map<SegmentId, int> finished_;
  int job_done_count_ = 0;
  bool job_failed_ = false;
};

RC_GTEST_PROP(SegmentAssignmentPropertyTest, AGoodLaneEndsTheJobAndNothingIsDoneTwice, ()) {
  const auto segments = *rc::gen::inRange<std::int64_t>(0, 30);
  // Two lanes: with more bad ones, three of them may use up a segment's tries.
  RandomFarm farm(segments, *rc::gen::inRange<std::uint32_t>(1, 3));
  for (int turns = 0; farm.turn(); ++turns) {
    farm.check();
    RC_ASSERT(turns < 2000);
  }
  RC_ASSERT(farm.state().all_done());
  RC_ASSERT(farm.finished_count() == static_cast<std::size_t>(segments));
  RC_ASSERT(farm.job_done_count() == 1);
  RC_ASSERT(!farm.job_failed());
}

RC_GTEST_PROP(SegmentAssignmentPropertyTest, EveryJobEndsDoneOrFailedWithManyBadLanes, ()) {
  RandomFarm farm(*rc::gen::inRange<std::int64_t>(0, 30), *rc::gen::inRange<std::uint32_t>(1, 6));
  for (int turns = 0; farm.turn(); ++turns) {
    farm.check();
    RC_ASSERT(turns < 2000);
  }
  RC_ASSERT(farm.state().ended);
  RC_ASSERT(farm.job_done_count() == (farm.job_failed() ? 0 : 1));
  RC_ASSERT(farm.state().all_done() || farm.job_failed());
}

}  // namespace
}  // namespace kiln::sharding
