#include "coordinator/core/farm_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/farm_env.h"
#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

using net::FailureKind;
using net::JobState;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FarmStepTest, AJobGoesFromProbeToJoinAndEveryFrameIsRenderedOnce) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a", 2));
  farm.submit(JobBuilder("job"));
  farm.run_to_end();
  const net::JobStatus status = farm.status("job");
  EXPECT_EQ(status.summary.state, JobState::kDone);
  EXPECT_EQ(status.summary.frames_done, 100);
  EXPECT_EQ(status.compiles, 1U);
  std::int64_t next = 0;
  for (const net::SegmentResult& one : status.clips[0].segments) {
    EXPECT_EQ(one.first, next);
    next = one.last;
  }
  EXPECT_EQ(next, 100);
  EXPECT_FALSE(status.clips[0].result.sha256.empty());
}

TEST(FarmStepTest, NothingIsSentBeforeTheFactThatItRestsOn) {
  FarmState state;
  const Moment now{milliseconds(0), 1.0};
  (void)step(state, WorkerSaid{"w", WorkerBuilder("a").hello}, now);
  const auto effects = step(state, ClientAsked{"c", 1, true, "", net::Submit{JobBuilder("job").request}}, now);
  ASSERT_GE(effects.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<Record>(effects[0]));
  EXPECT_TRUE(std::holds_alternative<KeepBlobs>(effects[1]));
  EXPECT_TRUE(std::holds_alternative<Reply>(effects[2]));
  const auto assigned = step(state, Tick{}, now);
  bool recorded = false;
  for (const FarmEffect& effect : assigned) {
    if (const auto* record = std::get_if<Record>(&effect)) recorded |= std::holds_alternative<net::Assigned>(record->fact);
    const auto* tell = std::get_if<Tell>(&effect);
    const bool assigns = tell != nullptr && std::holds_alternative<net::Assign>(tell->message);
    EXPECT_TRUE(!assigns || recorded);
  }
  EXPECT_TRUE(recorded);
}

TEST(FarmStepTest, ASubmissionMayBeRepeatedButNotChanged) {
  FarmEnv farm;
  farm.submit(JobBuilder("job"));
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::Submit{JobBuilder("job").request})));
  EXPECT_TRUE(std::holds_alternative<net::Refused>(farm.ask(net::Submit{JobBuilder("job", 2).request})));
  EXPECT_EQ(farm.state.durable.jobs.size(), 1U);
}

TEST(FarmStepTest, ABadSubmissionChangesNothingAndSaysWhy) {
  FarmEnv farm;
  JobBuilder no_clip("job", 0);
  JobBuilder two("job", 2);
  two.request.clips[1].output = two.request.clips[0].output;
  JobBuilder bad_manifest("job");
  bad_manifest.request.manifest = "format_version = 99";
  for (const JobBuilder& job : {no_clip, two, bad_manifest, JobBuilder("job").after("nobody")}) {
    EXPECT_TRUE(std::holds_alternative<net::Refused>(farm.ask(net::Submit{job.request})));
  }
  EXPECT_TRUE(farm.state.durable.jobs.empty());
  EXPECT_TRUE(farm.journal.empty());
}

TEST(FarmStepTest, ALaneWhoseSpeedIsNotKnownGetsItsNextSegmentWhenTheFirstIsDone) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  ASSERT_EQ(farm.segments.size(), 1U);
  farm.tick();
  EXPECT_TRUE(farm.take_assigns("a").empty());
  farm.finish("a", farm.segments[0]);
  EXPECT_EQ(segment(farm.take_assign("a")).first, 50);
}

TEST(FarmStepTest, AResultOfAnOlderAttemptIsDroppedAndAcknowledged) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  farm.fail("a", farm.segments[0], FailureKind::kError);
  const net::Assign again = farm.take_assign("a");
  EXPECT_EQ(again.task, farm.segments[0].task);
  EXPECT_EQ(again.attempt.value, 2U);
  (void)farm.take<net::ResultTaken>("a");
  farm.finish("a", farm.segments[0]);
  EXPECT_EQ(farm.take<net::ResultTaken>("a").size(), 1U);
  EXPECT_EQ(farm.state.live.counters.late_messages, 1U);
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 0);
  farm.finish("a", again);
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 50);
}

TEST(FarmStepTest, AResultThatComesTwiceCountsOnce) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  farm.finish("a", farm.segments[0]);
  farm.finish("a", farm.segments[0]);
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 50);
  EXPECT_EQ(farm.take<net::ResultTaken>("a").size(), 3U);  // the probe's as well
}

TEST(FarmStepTest, ASilentWorkersTasksGoElsewhereAndItsLateResultIsDropped) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  farm.connect(WorkerBuilder("b"));
  farm.finish("b", farm.take_assign("b"));
  for (int i = 0; i < 7; ++i) {
    farm.now += milliseconds(2000);
    farm.say("b", net::Heartbeat{});
  }
  EXPECT_EQ(farm.state.live.counters.workers_lost, 1U);
  const auto again = farm.take_assigns("b");
  ASSERT_GE(again.size(), 1U);
  EXPECT_EQ(farm.job("job").lost_lanes.size(), 1U);
  farm.finish("a", farm.segments[0]);
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 50);  // b's alone
}

TEST(FarmStepTest, AWorkerThatComesBackInTimeKeepsWhatItWorksOn) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  WorkerBuilder back("a");
  back.still_runs(farm.segments[0], LaneId{0}).still_runs(farm.compile, net::kCompileLane);
  farm.connect(back);
  EXPECT_TRUE(farm.take_assigns("a").empty());
  EXPECT_TRUE(farm.take<net::CancelTask>("a").empty());
  farm.finish("a", farm.segments[0]);
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 50);
  EXPECT_EQ(farm.job("job").lost_lanes.size(), 0U);
}

TEST(FarmStepTest, AWorkerThatBeginsAnewHasLostItsTasks) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  farm.state.live.workers.at("a").connected = false;  // its silence was noticed
  farm.connect(WorkerBuilder("a").instance("a-2"));
  const auto again = farm.take_assigns("a");
  ASSERT_EQ(again.size(), 2U);
  for (const net::Assign& task : again) EXPECT_EQ(task.attempt.value, 2U);
}

TEST(FarmStepTest, ASecondWorkerOfOneNameIsRefused) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.connect(WorkerBuilder("a").instance("another process"));
  const auto refused = farm.take<net::WorkerRefused>("a");
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_THAT(refused[0].error.message, HasSubstr("connected already"));
  EXPECT_EQ(farm.state.live.workers.at("a").hello.instance, "a-1");
}

TEST(FarmStepTest, OneKeyIsCompiledOnceForAllJobs) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a", 4));
  farm.connect(WorkerBuilder("b", 4));
  for (const char* name : {"one", "two", "three"}) farm.submit(JobBuilder(name));
  farm.run_to_end();
  std::uint64_t compiles = 0;
  for (const char* name : {"one", "two", "three"}) compiles += farm.status(name).compiles;
  EXPECT_EQ(compiles, 1U);
}

TEST(FarmStepTest, WithExecutorCompiledSegmentsWaitForTheArtifact) {
  ProbedFarm farm(JobBuilder("job").executor("compiled"));
  EXPECT_TRUE(farm.segments.empty());
  EXPECT_THAT(farm.status("job").summary.reason, HasSubstr("waits for its artifact"));
  farm.finish("a", farm.compile);
  EXPECT_TRUE(segment(farm.take_assign("a")).artifact_ready);
}

TEST(FarmStepTest, AnArtifactThatCannotBeMadeEndsOnlyWhatInsistsOnIt) {
  for (const char* executor : {"compiled", "any"}) {
    ProbedFarm farm(JobBuilder("job").executor(executor));
    farm.fail("a", farm.compile, FailureKind::kError, "no space for g++");
    for (const net::Assign& task : farm.take_assigns("a")) {
      if (std::holds_alternative<net::CompileSpec>(task.spec)) farm.fail("a", task, FailureKind::kError, "no space for g++");
    }
    for (const net::Assign& task : farm.segments) farm.finish("a", task);
    farm.run_to_end();
    const net::JobStatus status = farm.status("job");
    EXPECT_EQ(status.summary.state, std::string(executor) == "any" ? JobState::kDone : JobState::kFailed);
    const bool failed = status.summary.state == JobState::kFailed;
    EXPECT_THAT(status.summary.reason, HasSubstr(failed ? "no space for g++" : ""));
  }
}

TEST(FarmStepTest, ASlowLaneGetsShorterSegments) {
  FarmEnv farm;
  farm.clip_frames = 10'000;
  farm.connect(WorkerBuilder("fast"));
  farm.connect(WorkerBuilder("slow").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled"));
  farm.finish("fast", farm.take_assign("fast"));
  std::map<std::string, std::int64_t> last;
  std::map<std::string, net::Assign> running;
  for (const char* name : {"fast", "slow"}) running[name] = farm.take_assign(name);
  for (int round = 0; round < 4; ++round) {
    for (const char* name : {"fast", "slow"}) {
      farm.finish(name, running[name], std::string(name) == "fast" ? 0.05 : 0.1);
      running[name] = farm.take_assign(name);
      last[name] = segment(running[name]).last - segment(running[name]).first;
    }
  }
  EXPECT_NEAR(static_cast<double>(last["fast"]) / static_cast<double>(last["slow"]), 2.0, 0.4);
}

TEST(FarmStepTest, ThreeLanesMakeATaskFailedAndNoneIsSetAsideForIt) {
  FarmEnv farm;
  for (const char* name : {"a", "b", "c", "d"}) farm.connect(WorkerBuilder(name).no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled"));
  std::set<std::string> failed_on;
  while (!farm.job("job").ended) {
    bool any = false;
    for (const char* name : {"a", "b", "c", "d"}) {
      for (const net::Assign& task : farm.take_assigns(name)) {
        any = true;
        failed_on.insert(name);
        farm.fail(name, task, FailureKind::kCrash, "killed by signal 11");
      }
    }
    ASSERT_TRUE(any);
  }
  EXPECT_EQ(failed_on.size(), 3U);
  EXPECT_EQ(farm.job("job").ended, JobState::kFailed);
  EXPECT_TRUE(farm.state.durable.set_aside.empty());
}

TEST(FarmStepTest, ALaneThatKeepsFailingIsSetAsideAndTheJobSucceeds) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("bad").no_compiler());
  farm.connect(WorkerBuilder("good").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(10));
  for (bool any = true; any;) {
    any = false;
    for (const net::Assign& task : farm.take_assigns("bad")) farm.fail("bad", task, FailureKind::kCrash), any = true;
    for (const net::Assign& task : farm.take_assigns("good")) farm.finish("good", task), any = true;
  }
  EXPECT_EQ(farm.job("job").ended, JobState::kDone);
  const auto list = farm.ask(net::ListWorkers{});
  const auto& workers = std::get<net::WorkerList>(list).workers;
  EXPECT_EQ(workers[0].lanes[0].state, "set aside");
  EXPECT_THAT(workers[0].lanes[0].why, HasSubstr("3 failures in a row"));
}

TEST(FarmStepTest, BadInputEndsTheJobAtOnceAndLeavesOthersAlone) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("bad").executor("uncompiled"));
  farm.submit(JobBuilder("good").executor("uncompiled"));
  farm.fail("a", farm.take_assign("a"), FailureKind::kBadInput, "clip-0.mp4: not a video");
  EXPECT_EQ(farm.status("bad").summary.reason, "clip-0.mp4: not a video");
  farm.run_to_end();
  EXPECT_EQ(farm.job("good").ended, JobState::kDone);
}

TEST(FarmStepTest, ALaneTooSmallIsLeftOutWithAReason) {
  FarmEnv farm;
  farm.needs_bytes = 500ULL << 20U;
  farm.connect(WorkerBuilder("big").no_compiler());
  farm.connect(WorkerBuilder("small").budget(kSmallBudget).no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(10));
  farm.finish("big", farm.take_assign("big"));
  EXPECT_TRUE(farm.take_assigns("small").empty());
  // Told while the job is at work elsewhere, and while it is paused.
  const std::string reason = "small lane 0: it holds 100 MiB, the clip's tiles need 500 MiB";
  EXPECT_THAT(std::get<net::Explanation>(farm.ask(net::Explain{0, "job"})).lines, testing::Contains(reason));
  farm.finish("big", farm.take_assign("big"));
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kPause});
  EXPECT_THAT(std::get<net::Explanation>(farm.ask(net::Explain{0, "job"})).lines, testing::Contains(reason));
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kResume});
  farm.run_to_end();
  EXPECT_EQ(farm.job("job").ended, JobState::kDone);
}

TEST(FarmStepTest, WhatNoLaneHoldsIsRefusedBeforeItStarts) {
  FarmEnv farm;
  farm.needs_bytes = 500ULL << 20U;
  farm.connect(WorkerBuilder("small").budget(kSmallBudget));
  farm.submit(JobBuilder("job"));
  farm.run_to_end();
  EXPECT_EQ(farm.job("job").ended, JobState::kFailed);
  EXPECT_THAT(farm.job("job").reason, HasSubstr("no lane holds it"));
  EXPECT_EQ(farm.job("job").exit, static_cast<int>(ExitCode::kInputRefused));
}

TEST(FarmStepTest, LanesOfAnotherClassGetNoFramesOfAClipUnlessTheJobSaysSo) {
  for (const char* numerics : {"strict", "tolerant"}) {
    FarmEnv farm;
    farm.connect(WorkerBuilder("a", 2).isa("avx512").no_compiler());
    farm.connect(WorkerBuilder("b").isa("avx2").no_compiler());
    farm.submit(JobBuilder("job").executor("uncompiled").numerics(numerics).segment_frames(10));
    farm.finish("a", farm.take_assign("a"));
    EXPECT_EQ(farm.take_assigns("b").size(), std::string(numerics) == "tolerant" ? 1U : 0U);
  }
}

TEST(FarmStepTest, CardsComputeInHalfTheBytesUnlessTheJobSaysOtherwise) {
  struct Case {
    const char* precision;
    const char* arch;
    const char* dtype;
  };
  for (const Case& one : {Case{"auto", "sm_90", "float16"}, Case{"auto", "sm_61", "float32"}, Case{"auto", "cpu", "float32"},
                          Case{"float32", "sm_90", "float32"}, Case{"float16", "sm_75", "float16"}}) {
    FarmEnv farm;
    farm.connect(WorkerBuilder("a").card(one.arch));
    farm.submit(JobBuilder("job").graph_of("float16").precision(one.precision).segment_frames(10));
    const net::Assign probe = farm.take_assign("a");
    EXPECT_EQ(std::get<net::ProbeSpec>(probe.spec).dtypes, std::vector<std::string>{one.dtype});
    farm.finish("a", probe);
    for (const net::Assign& task : farm.take_assigns("a")) {
      const auto* segment = std::get_if<net::SegmentSpec>(&task.spec);
      const auto* compile = std::get_if<net::CompileSpec>(&task.spec);
      ASSERT_TRUE(segment != nullptr || compile != nullptr);
      EXPECT_EQ(segment != nullptr ? segment->dtype : compile->dtype, one.dtype);
    }
    EXPECT_EQ(farm.job("job").clips[0].plan->tile.dtype, one.dtype) << one.precision << " on " << one.arch;
    EXPECT_EQ(farm.replayed().durable, farm.state.durable);
  }
}

TEST(FarmStepTest, APrecisionThatNobodyComputesInEndsTheJobWithTheReason) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(JobBuilder("job").graph_of("float16").precision("float16"));
  farm.run_to_end();
  EXPECT_EQ(farm.job("job").ended, JobState::kFailed);
  EXPECT_THAT(farm.job("job").reason, HasSubstr("precision"));
}

TEST(FarmStepTest, ACpuTakesPartInACardsClipOnlyWhereItComputesInTheSame) {
  for (const char* precision : {"auto", "float32"}) {
    FarmEnv farm;
    farm.connect(WorkerBuilder("card", 3).card("sm_90").no_compiler());
    farm.connect(WorkerBuilder("cpu").no_compiler());
    farm.submit(
        JobBuilder("job").graph_of("float16").precision(precision).executor("uncompiled").numerics("tolerant").segment_frames(10));
    farm.run_to_end();
    EXPECT_EQ(farm.job("job").ended, JobState::kDone) << precision;
    EXPECT_EQ(farm.job("job").clips[0].plan->tile.dtype, "float32");  // all four take part in that alone
  }
}

TEST(FarmStepTest, CancelStopsWhatRunsAndNothingComesBack) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::ControlJob{"job", net::JobVerb::kCancel})));
  EXPECT_EQ(farm.take<net::CancelTask>("a").size(), 1U);
  farm.fail("a", farm.segments[0], FailureKind::kError);
  farm.finish("a", farm.segments[0]);
  farm.pass(milliseconds(100));
  EXPECT_TRUE(farm.take_assigns("a").empty());
  EXPECT_EQ(farm.job("job").ended, JobState::kCancelled);
}

TEST(FarmStepTest, RetryGoesOnWithWhatIsDone) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  farm.one_segment_at_a_time();
  farm.finish("a", farm.segments[0]);
  const net::Assign second = farm.take_assign("a");
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kCancel});
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::ControlJob{"job", net::JobVerb::kRetry})));
  const net::Assign again = farm.take_assign("a");
  EXPECT_EQ(again.task, second.task);
  EXPECT_EQ(again.attempt.value, 2U);
  farm.finish("a", again);
  farm.run_to_end();
  EXPECT_EQ(farm.job("job").ended, JobState::kDone);
  EXPECT_EQ(farm.status("job").clips[0].segments.size(), 10U);
}

TEST(FarmStepTest, PauseHandsOutNothingNewAndResumeGoesOn) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  farm.one_segment_at_a_time();
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kPause});
  farm.finish("a", farm.segments[0]);
  EXPECT_TRUE(farm.take_assigns("a").empty());
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kResume});
  EXPECT_EQ(farm.take_assigns("a").size(), 1U);
}

TEST(FarmStepTest, JobsGoByPriorityThenByOrder) {
  FarmEnv farm;
  farm.submit(JobBuilder("first"));
  farm.submit(JobBuilder("second"));
  farm.submit(JobBuilder("urgent").priority(5));
  farm.connect(WorkerBuilder("a", 2));
  const auto tasks = farm.take_assigns("a");
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_EQ(tasks[0].job, "urgent");
  EXPECT_EQ(tasks[1].job, "first");
}

TEST(FarmStepTest, AJobWaitsForThoseItDependsOn) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("first").executor("uncompiled"));
  farm.submit(JobBuilder("second").executor("uncompiled").priority(9).after("first"));
  EXPECT_EQ(farm.take_assign("a").job, "first");
  EXPECT_THAT(farm.status("second").summary.reason, HasSubstr("it waits for first"));
}

TEST(FarmStepTest, WhoCameWithAKeyOwnsWhatWasSubmitted) {
  FarmEnv farm;
  const auto owner_of = [&](const net::JobName& job) {
    return std::get<net::JobStatus>(farm.ask(net::GetJob{job, 0, 0})).summary.owner;
  };
  (void)farm.ask(net::Submit{JobBuilder("first").request}, "ann", false);
  EXPECT_EQ(owner_of("first"), "ann");
  (void)farm.ask(net::Submit{JobBuilder("second").owner("bob").request}, "ann", false);
  EXPECT_EQ(owner_of("second"), "ann");
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::Submit{JobBuilder("second").owner("bob").request}, "ann", false)));
  (void)farm.ask(net::Submit{JobBuilder("third").owner("bob").request}, "root", true);
  EXPECT_EQ(owner_of("third"), "bob");
}

TEST(FarmStepTest, AnOutputThatIsAPathIsRefused) {
  FarmEnv farm;
  JobBuilder job("job");
  job.request.clips[0].output.file_name = "../elsewhere.mkv";
  const auto reply = farm.ask(net::Submit{job.request});
  ASSERT_TRUE(std::holds_alternative<net::Refused>(reply));
  EXPECT_THAT(std::get<net::Refused>(reply).error.message, HasSubstr("../elsewhere.mkv"));
}

TEST(FarmStepTest, OwnersAndAdminsAloneChangeAJob) {
  FarmEnv farm;
  farm.submit(JobBuilder("job").owner("ann"));
  EXPECT_TRUE(std::holds_alternative<net::Refused>(farm.ask(net::ControlJob{"job", net::JobVerb::kCancel}, "bob", false)));
  EXPECT_TRUE(std::holds_alternative<net::Refused>(farm.ask(net::Drain{"a", true}, "bob", false)));
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::ControlJob{"job", net::JobVerb::kCancel}, "ann", false)));
}

TEST(FarmStepTest, ADrainedWorkerFinishesWhatItHasAndGetsNothing) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::Drain{"a", true})));
  farm.finish("a", farm.segments[0]);
  EXPECT_TRUE(farm.take_assigns("a").empty());
  EXPECT_EQ(farm.job("job").clips[0].frames_done, 10);
}

TEST(FarmStepTest, AWorkerThatIsToLeaveGetsNothingAndIsToldUntilItHasGone) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::Drain{"a", true, true})));
  EXPECT_THAT(farm.take<net::DrainWorker>("a"), ElementsAre(net::DrainWorker{true, true}));
  farm.finish("a", farm.segments[0]);
  EXPECT_TRUE(farm.take_assigns("a").empty());
  farm.say("a", net::Heartbeat{});
  EXPECT_THAT(farm.take<net::DrainWorker>("a"), ElementsAre(net::DrainWorker{true, true}));
  farm.say("a", net::Goodbye{});
  EXPECT_TRUE(farm.state.live.workers.empty());
}

TEST(FarmStepTest, AWorkerThatComesBackAfterItLeftIsGivenTasks) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").instance("first"));
  (void)farm.ask(net::Drain{"a", true, true});
  farm.connect(WorkerBuilder("a").instance("first"));  // its connection was cut meanwhile
  EXPECT_THAT(farm.take<net::DrainWorker>("a"), ElementsAre(net::DrainWorker{true, true}, net::DrainWorker{true, true}));
  farm.say("a", net::Goodbye{});
  farm.connect(WorkerBuilder("a").instance("second"));
  EXPECT_TRUE(farm.take<net::DrainWorker>("a").empty());
  farm.submit(JobBuilder("job"));
  EXPECT_EQ(farm.take_assigns("a").size(), 1U);
}

TEST(FarmStepTest, RemoveLetsTheStoreForgetAndIsRefusedWhileAJobRuns) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(JobBuilder("job"));
  EXPECT_TRUE(std::holds_alternative<net::Refused>(farm.ask(net::ControlJob{"job", net::JobVerb::kRemove})));
  farm.run_to_end();
  EXPECT_FALSE(farm.kept().at("job").empty());
  EXPECT_TRUE(std::holds_alternative<net::Done>(farm.ask(net::ControlJob{"job", net::JobVerb::kRemove})));
  EXPECT_TRUE(farm.kept().at("job").empty());
  EXPECT_TRUE(farm.state.durable.jobs.empty());
}

TEST(FarmStepTest, AClientThatWaitsIsAnsweredWhenTheJobChanges) {
  ProbedFarm farm(JobBuilder("job").segment_frames(50));
  const std::uint64_t revision = farm.status("job").revision;
  const auto none = farm.ask(net::GetJob{"job", revision, 10'000});
  EXPECT_TRUE(std::holds_alternative<net::Refused>(none));  // no answer yet
  const std::size_t before = farm.replies().size();
  farm.say("a", net::TaskProgress{farm.segments[0].task, farm.segments[0].attempt, 7, 0, 0});
  ASSERT_EQ(farm.replies().size(), before + 1);
  EXPECT_EQ(std::get<net::JobStatus>(farm.replies().back()).summary.frames_done, 7);
}

TEST(FarmStepTest, NoOpTasksAreForgottenAsTheyEnd) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a", 8));
  JobBuilder job("job", 0);
  job.request.kind = net::JobKind::kNoop;
  job.request.noop_tasks = 1000;
  farm.submit(job);
  EXPECT_EQ(farm.run_to_end(), 1000);
  EXPECT_EQ(farm.job("job").ended, JobState::kDone);
  EXPECT_TRUE(farm.state.durable.tasks.empty());
}

// ---- the journal ----

TEST(FarmReplayTest, TheJournalAloneGivesTheSameState) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10), 2);
  farm.finish("a", farm.segments[0]);
  farm.run_to_end();
  farm.submit(JobBuilder("half").segment_frames(10));
  farm.finish("a", farm.take_assigns("a").at(0));
  const FarmState again = farm.replayed();
  ASSERT_EQ(again.durable.tasks.size(), farm.state.durable.tasks.size());
  for (const auto& [number, task] : farm.state.durable.tasks) {
    const TaskRecord& other = again.durable.tasks.at(number);
    EXPECT_EQ(other.state, task.state) << number;
    EXPECT_EQ(other.attempt, task.attempt) << number;
    EXPECT_EQ(other.lane, task.lane) << number;
  }
  EXPECT_EQ(again.durable.next_task, farm.state.durable.next_task);
  EXPECT_EQ(again.durable.jobs.at("half").waiting, farm.job("half").waiting);
}

TEST(FarmReplayTest, AfterARestartWorkersComeBackAndNothingDoneIsDoneAgain) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  farm.one_segment_at_a_time();
  farm.finish("a", farm.segments[0]);
  const net::Assign running = farm.take_assign("a");
  FarmEnv after;
  after.state = farm.replayed();
  after.connect(WorkerBuilder("a").still_runs(running, LaneId{0}).still_runs(farm.compile, net::kCompileLane));
  EXPECT_TRUE(after.take_assigns("a").empty());
  after.finish("a", running);
  after.finish("a", farm.compile);
  after.run_to_end();
  EXPECT_EQ(after.job("job").ended, JobState::kDone);
  EXPECT_EQ(after.status("job").clips[0].segments.size(), 10U);
}

TEST(FarmReplayTest, TasksWhoseWorkerDoesNotComeBackGoElsewhere) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  FarmEnv after;
  after.state = farm.replayed();
  after.connect(WorkerBuilder("b").no_compiler());
  const net::Assign other = after.take_assign("b");
  EXPECT_NE(other.task, farm.segments[0].task);
  after.finish("b", other);
  for (int i = 0; i < 8; ++i) {
    after.now += milliseconds(2000);
    after.say("b", net::Heartbeat{});
  }
  after.run_to_end();
  EXPECT_EQ(after.job("job").clips[0].frames_done, 100);
}

}  // namespace
}  // namespace kiln::coordinator::test
