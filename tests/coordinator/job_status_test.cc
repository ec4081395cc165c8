// What clients see of a job: as much as they ask for, and numbers that are true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "net/farm_limits.h"
#include "tests/coordinator/farm_env.h"

namespace kiln::coordinator::test {
namespace {

using net::FailureKind;
using net::JobDetail;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

net::JobStatus ask(FarmEnv& farm, net::GetJob request) {
  const net::ClientReply reply = farm.ask(std::move(request));
  const auto* status = std::get_if<net::JobStatus>(&reply);
  EXPECT_NE(status, nullptr);
  return status == nullptr ? net::JobStatus{} : *status;
}

net::GetJob pages(JobDetail detail, std::uint32_t first_clip, std::uint32_t clips, std::int64_t from, std::uint32_t segments) {
  return {"job", 0, 0, detail, first_clip, clips, from, segments};
}

// Three clips of 100 frames, done in segments of 10.
struct DoneFarm : FarmEnv {
  DoneFarm() {
    hashes = true;
    connect(WorkerBuilder("a", 2).no_compiler());
    submit(JobBuilder("job", 3).executor("uncompiled").segment_frames(10));
    run_to_end();
  }
};

TEST(JobStatusTest, EverythingUnlessAClientAsksForLess) {
  DoneFarm farm;
  const net::JobStatus status = farm.status("job");
  ASSERT_EQ(status.clips.size(), 3U);
  EXPECT_EQ(status.clips_total, 3U);
  ASSERT_EQ(status.clips[2].segments.size(), 10U);
  EXPECT_EQ(status.clips[2].segments_done, 10U);
  EXPECT_EQ(status.clips[2].segments[9].frame_hashes.size(), 160U);
}

TEST(JobStatusTest, DetailSaysHowMuchOfAClip) {
  DoneFarm farm;
  const net::JobStatus clips = ask(farm, pages(JobDetail::kClips, 0, 0, 0, 0));
  ASSERT_EQ(clips.clips.size(), 3U);
  EXPECT_TRUE(clips.clips[0].segments.empty());
  EXPECT_EQ(clips.clips[0].segments_done, 10U);
  EXPECT_FALSE(clips.clips[0].result.sha256.empty()) << "enough to fetch it";
  const net::JobStatus segments = ask(farm, pages(JobDetail::kSegments, 0, 0, 0, 0));
  ASSERT_EQ(segments.clips[0].segments.size(), 10U);
  EXPECT_TRUE(segments.clips[0].segments[0].frame_hashes.empty());
}

struct Window {
  net::GetJob ask;
  std::size_t clips;
  std::string first_output;
  std::vector<std::int64_t> segments;  // of the first clip, by first frame
};

TEST(JobStatusTest, PagesHoldWhatWasAskedForAndNoMore) {
  DoneFarm farm;
  for (const Window& one : std::vector<Window>{
           {pages(JobDetail::kSegments, 0, 1, 0, 3), 1, "out-0.mp4", {0, 10, 20}},
           {pages(JobDetail::kSegments, 1, 1, 30, 2), 1, "out-1.mp4", {30, 40}},
           {pages(JobDetail::kSegments, 1, 9, 85, 9), 2, "out-1.mp4", {90}},
           {pages(JobDetail::kFrames, 2, 0, 95, 0), 1, "out-2.mp4", {}},
           {pages(JobDetail::kSegments, 3, 1, 0, 0), 0, "", {}}}) {
    const net::JobStatus status = ask(farm, one.ask);
    ASSERT_EQ(status.clips.size(), one.clips);
    EXPECT_EQ(status.clips_total, 3U);
    if (one.clips == 0) continue;
    EXPECT_EQ(status.clips[0].output, one.first_output);
    std::vector<std::int64_t> first;
    for (const net::SegmentResult& segment : status.clips[0].segments) first.push_back(segment.first);
    EXPECT_EQ(first, one.segments);
  }
}

TEST(JobStatusTest, AWaitingClientIsAnsweredWithAsMuchAsItAskedFor) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(50));
  farm.finish("a", farm.take_assign("a"));
  const std::uint64_t revision = farm.status("job").revision;
  (void)farm.ask(net::GetJob{"job", revision, 10'000, JobDetail::kClips, 0, 0, 0, 0});
  farm.finish("a", farm.take_assign("a"));
  const auto& status = std::get<net::JobStatus>(farm.replies().back());
  EXPECT_EQ(status.clips.at(0).segments_done, 1U);
  EXPECT_TRUE(status.clips.at(0).segments.empty());
}

// A join is one message: it names every segment.
TEST(JobStatusTest, AClipOfMillionsOfFramesHasNoMoreSegmentsThanItsJoinCanName) {
  for (const std::int64_t asked : {0, 1, 500'000}) {
    FarmEnv farm;
    farm.clip_frames = 10'000'000;
    farm.connect(WorkerBuilder("a").no_compiler());
    farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(asked));
    farm.finish("a", farm.take_assign("a"));
    const auto segment = std::get<net::SegmentSpec>(farm.take_assign("a").spec);
    EXPECT_GE((segment.last - segment.first) * kSegmentsPerClipMax, farm.clip_frames) << asked;
    if (asked == 500'000) {
      EXPECT_EQ(segment.last, asked);
    }
  }
}

TEST(JobStatusTest, ResultsThatCameTooLateAreCounted) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(50));
  farm.finish("a", farm.take_assign("a"));
  const net::Assign first = farm.take_assign("a");
  farm.fail("a", first, FailureKind::kError);
  const net::Assign again = farm.take_assign("a");
  farm.finish("a", first);
  EXPECT_EQ(farm.status("job").results_dropped, 1U);
  farm.finish("a", again);
  farm.finish("a", again);  // its acknowledgement was lost, and nothing of it
  EXPECT_EQ(farm.status("job").results_dropped, 1U);
  farm.finish("a", farm.take_assign("a"));
  EXPECT_EQ(farm.status("job").results_dropped, 1U);
}

struct Lost {
  FailureKind kind;
  std::uint64_t lanes;
  std::uint64_t failed;
};

TEST(JobStatusTest, LanesAreLostAndTriesFail) {
  for (const Lost& one : {Lost{FailureKind::kCrash, 1, 2}, {FailureKind::kHang, 1, 2}, {FailureKind::kError, 0, 2},
                          {FailureKind::kOutOfMemory, 0, 2}, {FailureKind::kArtifactMismatch, 0, 2}}) {
    FarmEnv farm;
    farm.connect(WorkerBuilder("a").no_compiler());
    farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(50));
    farm.finish("a", farm.take_assign("a"));
    farm.needs_bytes = 1;
    farm.fail("a", farm.take_assign("a"), one.kind);
    if (const auto again = farm.take_assigns("a"); !again.empty()) {
      farm.fail("a", again[0], one.kind);
    } else {
      EXPECT_EQ(one.kind, FailureKind::kOutOfMemory) << "that shape is not asked of it again";
      continue;
    }
    const net::JobStatus status = farm.status("job");
    EXPECT_EQ(status.lanes_lost, one.lanes) << "the same lane twice is one lane";
    EXPECT_EQ(status.attempts_failed, one.failed);
  }
}

TEST(JobStatusTest, AWorkerThatFallsSilentTakesItsBusyLanesWithIt) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a", 3).no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(50));
  for (const net::Assign& task : farm.take_assigns("a")) farm.finish("a", task);
  EXPECT_EQ(farm.take_assigns("a").size(), 2U) << "two segments, and one lane is idle";
  farm.pass(milliseconds(13'000));
  const net::JobStatus status = farm.status("job");
  EXPECT_EQ(status.lanes_lost, 2U);
  EXPECT_EQ(status.attempts_failed, 0U);
}

// ---- pools, variants, dependencies ----

TEST(JobPlaceTest, OnlyLanesOfItsPoolGetAJobAndExplainSaysSo) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").pool("red"));
  farm.connect(WorkerBuilder("c"));
  farm.submit(JobBuilder("job").pool("blue"));
  EXPECT_TRUE(farm.take_assigns("a").empty());
  EXPECT_TRUE(farm.take_assigns("c").empty());
  const auto explained = std::get<net::Explanation>(farm.ask(net::Explain{0, "job"}));
  EXPECT_EQ(explained.lines.at(0), "no lane may take it; a lane 0: a is not in the pool blue (kiln worker --pool blue)");
  EXPECT_EQ(farm.status("job").summary.reason, explained.lines[0]);
  farm.connect(WorkerBuilder("b").pool("blue").no_compiler());
  const auto workers = std::get<net::WorkerList>(farm.ask(net::ListWorkers{})).workers;
  EXPECT_EQ(workers.at(1).pool, "blue");
  EXPECT_FALSE(workers[1].compiles);
  EXPECT_TRUE(workers[0].compiles);
  EXPECT_EQ(farm.take_assign("b").job, "job");
  farm.submit(JobBuilder("any"));
  EXPECT_EQ(farm.take_assigns("a").size() + farm.take_assigns("c").size(), 1U) << "without a pool it goes anywhere";
}

struct VariantCase {
  std::vector<net::Variant> variants;
  std::uint64_t needs;
  std::string chosen;  // "-": the job fails
};

TEST(JobPlaceTest, TheFirstVariantThatFitsIsTaken) {
  const net::Variant whole{"whole", 0};
  const net::Variant tiny{"tiny", 10ULL << 20U};
  const net::Variant small{"small", 100ULL << 20U};
  for (const VariantCase& one : std::vector<VariantCase>{{{}, 50ULL << 20U, ""},
                                                         {{whole, small}, 50ULL << 20U, "whole"},
                                                         {{small, whole}, 50ULL << 20U, "small"},
                                                         {{tiny, small, whole}, 50ULL << 20U, "small"},
                                                         {{tiny, small, whole}, 500ULL << 20U, "whole"},
                                                         {{tiny, small}, 500ULL << 20U, "-"}}) {
    FarmEnv farm;
    farm.needs_bytes = one.needs;
    farm.connect(WorkerBuilder("a").no_compiler());
    JobBuilder job("job");
    job.executor("uncompiled").request.variants = one.variants;
    farm.submit(job);
    const net::Assign probe = farm.take_assign("a");
    const auto& budgets = std::get<net::ProbeSpec>(probe.spec).budgets_bytes;
    for (const net::Variant& variant : one.variants) {
      EXPECT_TRUE(variant.budget_bytes_max == 0 || std::count(budgets.begin(), budgets.end(), variant.budget_bytes_max) == 1)
          << "tiles are planned for each";
    }
    farm.finish("a", probe);
    const auto& plan = farm.job("job").clips[0].plan;
    EXPECT_EQ(plan.has_value(), one.chosen != "-");
    if (plan) {
      EXPECT_EQ(plan->variant, one.chosen);
    } else {
      EXPECT_EQ(farm.job("job").ended, net::JobState::kFailed);
    }
  }
}

TEST(JobPlaceTest, AJobComesAfterThoseItNames) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.submit(JobBuilder("one").executor("uncompiled"));
  farm.submit(JobBuilder("two").executor("uncompiled"));
  farm.submit(JobBuilder("last").executor("uncompiled").priority(9).after("one").after("two"));
  const auto why = [&] { return std::get<net::Explanation>(farm.ask(net::Explain{0, "last"})).lines.at(0); };
  EXPECT_EQ(why(), "it waits for one");
  (void)farm.ask(net::ControlJob{"one", net::JobVerb::kCancel});
  EXPECT_THAT(why(), HasSubstr("it waits for one, which was cancelled"));
  (void)farm.ask(net::ControlJob{"one", net::JobVerb::kRetry});
  (void)farm.take<net::CancelTask>("a");
  farm.run_to_end();
  EXPECT_EQ(farm.job("one").ended, net::JobState::kDone);
  EXPECT_EQ(farm.job("two").ended, net::JobState::kDone);
  EXPECT_EQ(farm.job("last").ended, net::JobState::kDone);
  EXPECT_GT(farm.job("last").ended_s + 1, farm.job("two").ended_s);
}

TEST(JobPlaceTest, AJobAfterOneThatWasRemovedSaysSo) {
  FarmEnv farm;
  farm.submit(JobBuilder("one"));
  farm.submit(JobBuilder("last").after("one"));
  (void)farm.ask(net::ControlJob{"one", net::JobVerb::kCancel});
  (void)farm.ask(net::ControlJob{"one", net::JobVerb::kRemove});
  EXPECT_THAT(std::get<net::Explanation>(farm.ask(net::Explain{0, "last"})).lines.at(0), HasSubstr("one, which was removed"));
  const net::ClientReply refused = farm.ask(net::Submit{JobBuilder("more").after("none").request});
  EXPECT_THAT(std::get<net::Refused>(refused).error.message, HasSubstr("depends on none, which is not here"));
}

TEST(JobPlaceTest, TwoWorkersShareAClipAndNoFrameIsGivenTwice) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a").no_compiler());
  farm.connect(WorkerBuilder("b").no_compiler());
  farm.submit(JobBuilder("job").executor("uncompiled").segment_frames(10));
  farm.run_to_end();
  const net::JobStatus status = farm.status("job");
  ASSERT_EQ(status.lanes.size(), 2U);
  EXPECT_EQ(status.lanes[0].frames + status.lanes[1].frames, 100);
  EXPECT_GE(std::min(status.lanes[0].frames, status.lanes[1].frames), 40);
  std::int64_t next = 0;
  for (const net::SegmentResult& segment : status.clips[0].segments) {
    EXPECT_EQ(segment.first, next);
    next = segment.last;
  }
  EXPECT_EQ(next, 100);
}

}  // namespace
}  // namespace kiln::coordinator::test
