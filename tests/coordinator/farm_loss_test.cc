// What is lost is made again, what is kept stays, and what failed says how.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

using net::FailureKind;
using net::JobState;

TEST(FarmLossTest, SegmentsThatTheStoreLostAreRenderedAgainAndOthersAreNot) {
  ProbedFarm farm(JobBuilder("job").executor("uncompiled").segment_frames(25));
  std::map<std::int64_t, int> rendered;
  std::vector<net::Assign> due = farm.segments;
  net::Assign join;
  bool lost = false;
  for (int n = 0; n < 20 && !due.empty(); ++n) {
    const net::Assign task = due.front();
    if (std::holds_alternative<net::JoinSpec>(task.spec) && !lost) {
      lost = true;
      const auto& segments = std::get<net::JoinSpec>(task.spec).segments;
      ASSERT_EQ(segments.size(), 4U);
      net::TaskFault fault{FailureKind::kError, "not_found", "2 of 4 segments are lost", -1,
                           {segments[1].blob.sha256, segments[3].blob.sha256}};
      farm.say("a", net::TaskFailed{task.task, task.attempt, fault, {}});
    } else {
      if (const auto* one = std::get_if<net::SegmentSpec>(&task.spec)) ++rendered[one->first];
      farm.finish("a", task);
    }
    due = farm.take_assigns("a");
  }
  EXPECT_EQ(farm.status("job").summary.state, JobState::kDone);
  EXPECT_EQ(farm.status("job").summary.frames_done, 100);
  EXPECT_EQ(rendered, (std::map<std::int64_t, int>{{0, 1}, {25, 2}, {50, 1}, {75, 2}}));
  EXPECT_TRUE(farm.state.durable.set_aside.empty());
  EXPECT_EQ(farm.replayed().durable.jobs.at("job").clips[0].frames_done, 100);
}

TEST(FarmLossTest, AnArtifactThatTheStoreLostIsMadeAgainAndTheSegmentWaits) {
  ProbedFarm farm(JobBuilder("job").executor("compiled").segment_frames(50));
  farm.finish("a", farm.compile);
  const net::Assign first = farm.take_assign("a");
  ASSERT_TRUE(segment(first).artifact_ready);
  farm.fail("a", first, FailureKind::kArtifactMismatch, "the store has no artifact that can be trusted");
  const net::Assign again = farm.take_assign("a");
  ASSERT_TRUE(std::holds_alternative<net::CompileSpec>(again.spec));
  EXPECT_NE(again.task, farm.compile.task);
  farm.finish("a", again);
  farm.run_to_end();
  EXPECT_EQ(farm.status("job").summary.state, JobState::kDone);
  EXPECT_EQ(farm.status("job").compiles, 2U);
}

// With `executor = "any"` nothing fails when the artifact is gone: the segment's result says so.
TEST(FarmLossTest, AnArtifactThatASegmentDidNotFindIsMadeAgainWhileOthersRunUncompiled) {
  ProbedFarm farm(JobBuilder("job").segment_frames(10), 2);
  farm.one_segment_at_a_time();
  farm.finish("a", farm.compile);
  for (const net::Assign& early : farm.segments) farm.finish("a", early);
  const std::vector<net::Assign> ready = farm.take_assigns("a");
  ASSERT_EQ(ready.size(), 2U);
  ASSERT_TRUE(segment(ready[0]).artifact_ready && segment(ready[1]).artifact_ready);
  farm.artifact_lost = true;
  farm.finish("a", ready[0]);
  std::vector<net::Assign> next = farm.take_assigns("a");
  ASSERT_EQ(next.size(), 2U);
  const std::size_t compile = std::holds_alternative<net::CompileSpec>(next[0].spec) ? 0 : 1;
  ASSERT_TRUE(std::holds_alternative<net::CompileSpec>(next[compile].spec));
  EXPECT_FALSE(segment(next[1 - compile]).artifact_ready);
  farm.artifact_lost = false;
  farm.finish("a", next[compile]);
  farm.artifact_lost = true;
  farm.finish("a", ready[1]);  // of the one that was lost, and it is mended
  for (const net::Assign& task : farm.take_assigns("a")) {
    ASSERT_TRUE(std::holds_alternative<net::SegmentSpec>(task.spec));
    EXPECT_TRUE(segment(task).artifact_ready);
  }
  EXPECT_EQ(farm.state.live.counters.artifacts_lost, 1U);
  EXPECT_EQ(farm.job("job").attempts_failed, 0U);
}

TEST(FarmLossTest, AStoreThatKeepsNoArtifactIsNotCompiledForWithoutEnd) {
  FarmEnv farm;
  farm.artifact_lost = true;
  farm.connect(WorkerBuilder("a"));
  farm.submit(JobBuilder("job").segment_frames(1));
  farm.run_to_end();
  EXPECT_EQ(farm.status("job").summary.state, JobState::kDone);
  EXPECT_EQ(farm.state.live.counters.artifacts_lost, static_cast<std::uint64_t>(kArtifactLossesMax));
  EXPECT_GT(farm.state.live.counters.artifacts_given_up, 0U);
  EXPECT_EQ(farm.status("job").compiles, 1U + kArtifactLossesMax);
  EXPECT_TRUE(farm.state.live.artifact_losses.empty());
}

TEST(FarmLossTest, AnArtifactOfAnEarlierJobIsAHitAndNoCompile) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(JobBuilder("first"));
  farm.run_to_end();
  farm.submit(JobBuilder("second", 2));
  farm.run_to_end();
  EXPECT_EQ(farm.status("first").store_hits, 0U);
  EXPECT_EQ(farm.status("second").store_hits, 1U);
  EXPECT_EQ(farm.status("second").compiles, 0U);
}

// Neither job may lose it to the store's budget while it runs: the one that had it made, and the one that found it.
TEST(FarmLossTest, TheStoreKeepsTheArtifactsOfRunningJobs) {
  ProbedFarm farm(JobBuilder("first").segment_frames(10));
  EXPECT_TRUE(farm.kept_artifacts().at("first").empty());
  farm.finish("a", farm.compile);
  const std::string key = std::get<net::CompileSpec>(farm.compile.spec).key;
  EXPECT_EQ(farm.kept_artifacts().at("first"), std::vector<std::string>{key});
  EXPECT_FALSE(farm.kept().at("first").empty()) << "and everything else";
  farm.submit(JobBuilder("second", 2).segment_frames(10));
  EXPECT_TRUE(farm.kept_artifacts().at("second").empty());
  farm.finish("a", farm.segments.at(0));
  farm.run_to_end();
  EXPECT_EQ(farm.status("second").compiles, 0U);
  EXPECT_EQ(farm.kept_artifacts().at("second"), std::vector<std::string>{}) << "it has ended";
  FarmState again = farm.replayed();
  again.durable.jobs.at("second").ended.reset();
  again.durable.jobs.at("second").clips[1].result.reset();
  EXPECT_EQ(needs_of(again.durable, "second").artifacts, std::vector<std::string>{key});
}

TEST(FarmLossTest, SegmentsOfAJobThatIsDoneMayGoAndNoOthers) {
  const auto segments_of = [](const FarmEnv& farm) {
    std::set<std::string> out;
    for (const auto& [first, segment] : farm.job("job").clips[0].finished) out.insert(segment.segment.sha256);
    return out;
  };
  const auto names_any = [](const std::vector<std::string>& kept, const std::set<std::string>& blobs) {
    return std::any_of(kept.begin(), kept.end(), [&](const std::string& blob) { return blobs.contains(blob); });
  };
  ProbedFarm failed(JobBuilder("job").segment_frames(10));
  failed.finish("a", failed.segments.at(0));
  (void)failed.ask(net::ControlJob{"job", net::JobVerb::kCancel});
  const KeepBlobs kept = needs_of(failed.replayed().durable, "job");
  EXPECT_FALSE(kept.nothing_else) << "it can be tried again";
  EXPECT_TRUE(names_any(kept.sha256, segments_of(failed)));
  ProbedFarm farm(JobBuilder("job").segment_frames(10));
  farm.finish("a", farm.segments.at(0));
  EXPECT_FALSE(farm.keeps_nothing_else("job"));
  farm.run_to_end();
  ASSERT_EQ(farm.status("job").summary.state, net::JobState::kDone);
  ASSERT_FALSE(segments_of(farm).empty());
  EXPECT_TRUE(farm.keeps_nothing_else("job"));
  EXPECT_FALSE(names_any(farm.kept().at("job"), segments_of(farm)));
  EXPECT_TRUE(names_any(farm.kept().at("job"), {farm.job("job").clips[0].result->output.sha256}));
  const KeepBlobs again = needs_of(farm.replayed().durable, "job");
  EXPECT_TRUE(again.nothing_else) << "and is told once more after a restart";
  EXPECT_EQ(again.sha256, farm.kept().at("job"));
}

TEST(FarmLossTest, AFailedJobSaysTheExitCodeThatItsFaultAsksFor) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(JobBuilder("job"));
  const net::Assign probe = farm.take_assign("a");
  farm.say("a", net::TaskFailed{probe.task, probe.attempt, {FailureKind::kBadInput, "data_loss", "no video", 65}, {}});
  EXPECT_EQ(farm.status("job").summary.exit, 65);
  EXPECT_EQ(farm.replayed().durable.jobs.at("job").exit, 65);
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kRetry});
  EXPECT_EQ(farm.status("job").summary.exit, 0);
}

// Encoders write other bits with other counts of threads: a clip has one count, whatever lane renders it.
TEST(FarmLossTest, EverySegmentOfAClipIsEncodedWithAsManyThreads) {
  FarmEnv farm;
  WorkerBuilder big("a");
  big.hello.lanes[0].encoder_threads = 8;
  WorkerBuilder small("b");
  small.hello.lanes[0].encoder_threads = 2;
  farm.connect(big);
  farm.connect(small);
  farm.submit(JobBuilder("job").executor("uncompiled"));
  for (const char* worker : {"a", "b"}) {
    for (const net::Assign& task : farm.take_assigns(worker)) farm.finish(worker, task);
  }
  std::set<int> threads;
  for (const char* worker : {"a", "b"}) {
    for (const net::Assign& task : farm.take_assigns(worker)) threads.insert(segment(task).encoder_threads);
  }
  EXPECT_EQ(threads, std::set<int>{2});
}

// One encoder for all segments: a card's where every lane has it, and lanes without it get none of the clip.
TEST(FarmLossTest, EverySegmentOfAClipHasTheEncoderThatAllItsLanesHave) {
  const std::vector<std::string> both{"h264_nvenc yuv420p"};
  const auto encoders = [](const std::string& wish, const std::vector<std::string>& first, const std::vector<std::string>& second) {
    FarmEnv farm;
    farm.output_side = 512;
    WorkerBuilder a("a");
    WorkerBuilder b("b");
    a.hello.lanes[0].card.uuid = "GPU-a";
    b.hello.lanes[0].card.uuid = "GPU-b";
    a.hello.lanes[0].card.encoders = first;
    b.hello.lanes[0].card.encoders = second;
    farm.connect(a);
    farm.connect(b);
    JobBuilder job("job");
    job.request.clips[0].output.encoder = wish;
    farm.submit(job.executor("uncompiled"));
    for (const char* worker : {"a", "b"}) {
      for (const net::Assign& task : farm.take_assigns(worker)) farm.finish(worker, task);
    }
    std::set<std::string> found;
    for (const char* worker : {"a", "b"}) {
      for (const net::Assign& task : farm.take_assigns(worker)) found.insert(segment(task).output.encoder);
    }
    if (found.empty()) found.insert(farm.status("job").summary.reason);
    return found;
  };
  EXPECT_EQ(encoders("", both, both), std::set<std::string>{""});
  EXPECT_EQ(encoders("auto", both, both), std::set<std::string>{"h264_nvenc"});
  EXPECT_EQ(encoders("auto", both, {}), std::set<std::string>{""});
  EXPECT_EQ(encoders("hardware", both, both), std::set<std::string>{"h264_nvenc"});
  EXPECT_NE(encoders("hardware", both, {}).begin()->find(": encoder = \"hardware\": b lane 0 has no h264_nvenc"), std::string::npos);
}

// The journal remembers that a lane was set aside, not whether its worker was mended and started again meanwhile.
TEST(FarmLossTest, AWorkerThatCannotReadWhatAnotherCanFailsNoJobAndIsSetAside) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("good").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(10));
  farm.finish("good", farm.take_assign("good"));  // the probe
  farm.connect(WorkerBuilder("bad").no_compiler());
  for (bool any = true; any;) {
    any = false;
    for (const net::Assign& task : farm.take_assigns("bad")) farm.fail("bad", task, FailureKind::kBadInput, "no file"), any = true;
    for (const net::Assign& task : farm.take_assigns("good")) farm.finish("good", task), any = true;
  }
  EXPECT_EQ(farm.job("job").ended, JobState::kDone);
  EXPECT_TRUE(farm.state.durable.set_aside.contains(LaneName{"bad", LaneId{0}}));
  EXPECT_EQ(farm.state.durable.set_aside.size(), 1U);
}

TEST(FarmLossTest, WhatTwoWorkersCannotReadEndsTheJobAndBlamesNeither) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.connect(WorkerBuilder("b").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled"));
  int tries = 0;
  while (!farm.job("job").ended) {
    ASSERT_LT(tries, 3);
    for (const char* worker : {"a", "b"}) {
      for (const net::Assign& task : farm.take_assigns(worker)) farm.fail(worker, task, FailureKind::kBadInput, "not a video"), ++tries;
    }
  }
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(farm.job("job").ended, JobState::kFailed);
  EXPECT_EQ(farm.status("job").summary.reason, "not a video");
  EXPECT_TRUE(farm.state.durable.set_aside.empty());
}

TEST(FarmLossTest, AStoreWithoutRoomEndsItsJobAndSetsNoLaneAside) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("large").executor("uncompiled"));
  farm.submit(JobBuilder("small").executor("uncompiled"));
  while (!farm.job("large").ended) {
    const std::vector<net::Assign> tasks = farm.take_assigns("a");
    ASSERT_FALSE(tasks.empty());
    for (const net::Assign& task : tasks) {
      task.job == "large" ? farm.fail("a", task, FailureKind::kStoreFull, "no room") : farm.finish("a", task);
    }
  }
  EXPECT_EQ(farm.job("large").ended, JobState::kFailed);
  farm.run_to_end();
  EXPECT_EQ(farm.job("small").ended, JobState::kDone);
  EXPECT_TRUE(farm.state.durable.set_aside.empty());
}

TEST(FarmLossTest, AWorkerThatIsStartedAgainHasNoLanesSetAside) {
  FarmEnv farm;
  farm.state.durable.set_aside[{"a", LaneId{0}}] = "three failures in a row";
  farm.connect(WorkerBuilder("a"));
  EXPECT_TRUE(farm.state.durable.set_aside.empty());
}

}  // namespace
}  // namespace kiln::coordinator::test
