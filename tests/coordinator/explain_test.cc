// What people are told of work that waits: the truth, and what would unblock it.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/farm_limits.h"
#include "tests/coordinator/farm_env.h"
#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

using net::JobVerb;
using std::chrono::milliseconds;
using ::testing::Contains;

std::vector<std::string> lines(FarmEnv& farm, const net::Explain& ask) {
  const auto answer = std::get<net::Explanation>(farm.ask(ask));
  return answer.lines;
}

// Long enough for a worker to be silent; the others are heard.
void fall_silent(FarmEnv& farm, const std::vector<std::string>& others) {
  for (int i = 0; i < 7; ++i) {
    farm.now += milliseconds(2000);
    for (const std::string& name : others) farm.say(name, net::Heartbeat{});
    farm.tick();
  }
}

WorkerBuilder with_threads(WorkerBuilder worker, int threads) {
  for (net::LaneOffer& offer : worker.hello.lanes) offer.kind.threads = threads;
  return worker;
}

WorkerBuilder without_toolchain(WorkerBuilder worker) {
  for (net::LaneOffer& offer : worker.hello.lanes) offer.kind.toolchain.clear();
  return worker.no_compiler();
}

constexpr const char* kNobodyCompiles =
    "no worker here can compile for cpu/avx2; one would that has such lanes, Python with torch, and g++ (kiln worker)";

// ---- compiles ----

TEST(ExplainTest, AnArtifactThatIsBeingCompiledSaysByWhom) {
  ProbedFarm farm(JobBuilder("job").executor("compiled"));
  farm.submit(JobBuilder("other").executor("compiled"));
  farm.finish("a", farm.take_assign("a"));
  EXPECT_EQ(lines(farm, {0, "other"}).at(0),
            fmt::format("it waits for its artifact, which a compiles for cpu/avx2 (task {})", farm.compile.task));
}

TEST(ExplainTest, ACompileThatNobodyHereCanMakeSaysWhatWouldHelp) {
  ProbedFarm farm(JobBuilder("job").executor("compiled"));
  farm.connect(without_toolchain(WorkerBuilder("b")));
  fall_silent(farm, {"b"});
  const auto of_task = lines(farm, {farm.compile.task, ""});
  EXPECT_EQ(of_task.at(0), kNobodyCompiles);
  EXPECT_THAT(of_task, Contains("a is silent"));
  EXPECT_THAT(of_task, Contains("b does not compile (that needs Python with torch, and g++)"));
  const auto of_job = lines(farm, {0, "job"});
  EXPECT_EQ(of_job.at(0), fmt::format("it waits for its artifact (task {}): {}", farm.compile.task, kNobodyCompiles));
  EXPECT_THAT(of_job, Contains("b does not compile (that needs Python with torch, and g++)"));
  EXPECT_EQ(farm.status("job").summary.reason, of_job[0]);
}

struct Builder {
  WorkerBuilder worker;
  std::string says;
};

TEST(ExplainTest, EachWorkerSaysWhyItDoesNotCompile) {
  WorkerBuilder other_tools("b");
  other_tools.hello.lanes[0].kind.toolchain = "0123456789";
  WorkerBuilder card("b");
  card.hello.lanes[0].kind = {"sm_90", "avx2", "H100", 0, "tools"};
  for (const Builder& one : std::vector<Builder>{
           {WorkerBuilder("b").isa("avx512"), "b compiles for cpu/avx512, not for cpu/avx2"},
           {other_tools, "b compiles for cpu/avx2 with toolchain 01234567, not for cpu/avx2 with toolchain tools"},
           {card, "b compiles for sm_90/avx2, not for cpu/avx2"},
           {with_threads(WorkerBuilder("b"), 8), ""}}) {
    ProbedFarm farm(JobBuilder("job").executor("compiled"));
    farm.connect(one.worker);
    fall_silent(farm, {"b"});
    if (one.says.empty()) {
      EXPECT_EQ(farm.take_assigns("b").size(), 1U) << "threads are nothing to a compile";
      continue;
    }
    const auto told = lines(farm, {farm.compile.task, ""});
    EXPECT_EQ(told.at(0), kNobodyCompiles);
    EXPECT_THAT(told, Contains(one.says));
  }
}

TEST(ExplainTest, ACompileBehindAnotherSaysWhoseCompilerItWaitsFor) {
  ProbedFarm farm(JobBuilder("one").executor("compiled"));
  farm.tile_width = 64;
  farm.submit(JobBuilder("two").executor("compiled"));
  farm.finish("a", farm.take_assign("a"));  // its probe
  const auto& artifacts = farm.state.durable.artifacts;
  ASSERT_EQ(artifacts.size(), 2U);
  const TaskNumber second = artifacts.at(farm.job("two").clips[0].plan->artifact_key).wanted.task;
  const std::string says = fmt::format("it waits for a's compiler, which is at task {}", farm.compile.task);
  EXPECT_EQ(lines(farm, {second, ""}).at(0), says);
  EXPECT_EQ(lines(farm, {0, "two"}).at(0), fmt::format("it waits for its artifact (task {}): {}", second, says));
  farm.connect(WorkerBuilder("b"));
  EXPECT_EQ(farm.take_assigns("b").size(), 1U) << "its compiler has nothing to do";
}

// ---- classes of lanes ----

struct ClassCase {
  WorkerBuilder worker;  // that comes when the clip's own worker is gone
  std::string says;
};

TEST(ExplainTest, WithoutALaneOfTheClipsClassBothClassesAreNamed) {
  const std::string only = "no lane may take it, only those of cpu/avx2/1 thread would, and none of them is here (kiln worker "
                           "--threads-per-lane 1); b lane 0: it is of the class ";
  const std::string why = " alone, so that its frames have the same bits";
  for (const ClassCase& one : std::vector<ClassCase>{
           {with_threads(WorkerBuilder("b"), 2), "cpu/avx2/2 threads; the clip is rendered by cpu/avx2/1 thread"},
           {WorkerBuilder("b").isa("avx512"), "cpu/avx512/1 thread; the clip is rendered by cpu/avx2/1 thread"},
           {without_toolchain(WorkerBuilder("b")), "cpu/avx2/1 thread without a toolchain; the clip is rendered by "
                                                   "cpu/avx2/1 thread with toolchain tools"}}) {
    ProbedFarm farm(JobBuilder("job").segment_frames(50));
    farm.connect(one.worker);
    fall_silent(farm, {"b"});
    const std::string says = only + one.says + why;
    EXPECT_EQ(lines(farm, {farm.segments[0].task, ""}).at(0), says);
    EXPECT_THAT(lines(farm, {farm.segments[0].task, ""}), Contains("a lane 0: a is silent"));
  }
}

TEST(ExplainTest, ADrainedLaneOfTheClassIsNamedWithWhatBringsItBack) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  farm.connect(WorkerBuilder("b").isa("avx512"));
  (void)farm.ask(net::Drain{"a", true});
  farm.finish("a", farm.segments[0]);
  EXPECT_EQ(lines(farm, {0, "job"}).at(0), "no lane may take it; a lane 0: a is being drained (kiln drain a --off)");
}

TEST(ExplainTest, ALaneOfTheClassThatIsTooSmallOrAwayIsNamed) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  fall_silent(farm, {});
  EXPECT_EQ(lines(farm, {farm.segments[0].task, ""}).at(0),
            "no lane may take it, only those of cpu/avx2/1 thread would, and none of them is here (kiln worker "
            "--threads-per-lane 1); a lane 0: a is silent");
  farm.connect(WorkerBuilder("b").budget(1U << 20U));
  EXPECT_EQ(lines(farm, {farm.segments[0].task, ""}).at(0),
            "no lane may take it; b lane 0: it holds 1 MiB, the clip's tiles need 50 MiB");
}

// ---- other jobs ----

struct DependencyCase {
  std::vector<JobVerb> verbs;  // on the job that is waited for
  std::string says;
};

TEST(ExplainTest, ADependencyThatNeverSucceedsSaysWhatToDo) {
  for (const DependencyCase& one : std::vector<DependencyCase>{
           {{}, "it waits for one"},
           {{JobVerb::kCancel}, "it waits for one, which was cancelled; kiln retry one tries that again, kiln cancel last gives "
                                "this up"},
           {{JobVerb::kCancel, JobVerb::kRetry}, "it waits for one"},
           {{JobVerb::kCancel, JobVerb::kRemove}, "it waits for one, which was removed, and never starts; kiln cancel last, and "
                                                  "submit it again without one"}}) {
    FarmEnv farm;
    farm.submit(JobBuilder("one"));
    farm.submit(JobBuilder("last").after("one"));
    for (const JobVerb verb : one.verbs) (void)farm.ask(net::ControlJob{"one", verb});
    EXPECT_EQ(lines(farm, {0, "last"}).at(0), one.says);
    EXPECT_EQ(farm.status("last").summary.reason, one.says);
  }
}

TEST(ExplainTest, ADependencyThatFailedIsToldFromACancelledOne) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("one"));
  farm.submit(JobBuilder("last").after("one"));
  farm.fail("a", farm.take_assign("a"), net::FailureKind::kBadInput);
  EXPECT_EQ(lines(farm, {0, "last"}).at(0),
            "it waits for one, which failed; kiln retry one tries that again, kiln cancel last gives this up");
}

// ---- all of it ----

TEST(ExplainTest, WhatFailedIsNamedWithItsTaskSoThatItsLogIsFound) {
  ProbedFarm farm(JobBuilder("job").executor("uncompiled").segment_frames(50));
  const TaskNumber number = farm.segments.at(0).task;
  const auto line = [&](std::string_view more) {
    return fmt::format("task {}, clip 0 frames 0 to 49, failed{}: because (kiln logs {})", number, more, number);
  };
  net::Assign task = farm.segments[0];
  (void)farm.ask(net::ControlJob{"job", JobVerb::kPause});
  farm.fail("a", task, net::FailureKind::kError);
  EXPECT_THAT(lines(farm, {0, "job"}), Contains(line(" and is tried again")));
  (void)farm.ask(net::ControlJob{"job", JobVerb::kResume});
  task = farm.take_assigns("a").at(0);
  for (int tries = 0; farm.job("job").ended != net::JobState::kFailed; ++tries) {
    ASSERT_LT(tries, 10);
    farm.fail("a", task, net::FailureKind::kError);
    const auto again = farm.take_assigns("a");
    if (!again.empty()) task = again.front();
  }
  EXPECT_EQ(lines(farm, {0, "job"}).at(1), line(""));
  EXPECT_EQ(lines(farm, {0, "job"}).at(0), farm.job("job").reason);
  farm.connect(WorkerBuilder("b"));  // the other lane is set aside
  (void)farm.ask(net::ControlJob{"job", JobVerb::kRetry});
  farm.run_to_end();
  ASSERT_EQ(farm.job("job").ended, net::JobState::kDone);
  EXPECT_THAT(lines(farm, {0, "job"}), testing::Not(Contains(testing::HasSubstr("logs"))));
}

TEST(ExplainTest, MoreLanesThanAnAnswerHoldsAreCounted) {
  FarmEnv farm;
  for (int i = 0; i < 3; ++i) farm.connect(WorkerBuilder(fmt::format("w{}", i), 400).pool("red"));
  farm.submit(JobBuilder("job").pool("blue"));
  const auto told = lines(farm, {0, "job"});
  EXPECT_EQ(told.size(), net::kLinesMax);
  EXPECT_EQ(told.back(), "and 202 more lines") << "1,200 lanes and the answer, less 999";
}

}  // namespace
}  // namespace kiln::coordinator::test
