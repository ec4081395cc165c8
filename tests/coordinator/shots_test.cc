// Clips that are generated: each is one task for one lane.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/coordinator/probed_farm.h"
#include "tests/sharding/generator_sample.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kFrames = 81;

JobBuilder shots(const std::string& name, int count = 1) {
  JobBuilder out(name, count);
  out.request.kind = net::JobKind::kGenerate;
  out.request.manifest = kiln::test::sample_generator({"float32", "bfloat16"});
  for (net::ClipRequest& clip : out.request.clips) {
    clip.source = {};
    clip.source.path = "shot";
    clip.source.shot = {"a fox", "rain", 832, 480, kFrames, 30, 6.0, 0.0, 5.0, "unipc", 7};
  }
  return out;
}

WorkerBuilder generator(const std::string& name, int lanes = 1) {
  WorkerBuilder out(name, lanes);
  for (net::LaneOffer& offer : out.hello.lanes) offer.generates = true;
  return out;
}

struct ShotFarm : FarmEnv {
  ShotFarm() { clip_frames = kFrames; }
  // Takes what the worker was sent, and answers probes and joins until there is something else.
  std::vector<net::Assign> take_segments(const std::string& worker) {
    std::vector<net::Assign> out;
    for (std::vector<net::Assign> tasks = take_assigns(worker); !tasks.empty(); tasks = take_assigns(worker)) {
      for (net::Assign& task : tasks) {
        if (std::holds_alternative<net::ProbeSpec>(task.spec)) {
          say(worker, net::TaskDone{task.task, task.attempt, probed(), {}});
        } else if (std::holds_alternative<net::JoinSpec>(task.spec)) {
          finish(worker, task);
        } else {
          out.push_back(std::move(task));
        }
      }
    }
    return out;
  }
  // As a worker answers: what the shot needs, whatever lanes have.
  [[nodiscard]] net::ProbeResult probed() const {
    net::ProbeResult out;
    out.frames = kFrames;
    out.width = out.output_width = 832;
    out.height = out.output_height = 480;
    out.pixel_format = out.output_pixel_format = "yuv420p";
    out.description.sha256 = std::string(64, 'e');
    net::TileChoice choice;
    choice.graph_sha256 = std::string(64, 'f');
    choice.height = 480;
    choice.width = 832;
    choice.activation_bytes = choice.card_bytes = needs_bytes;
    out.tiles.push_back(choice);
    return out;
  }
  std::string refusal(const JobBuilder& job) {
    const auto reply = ask(net::Submit{job.request});
    const auto* refused = std::get_if<net::Refused>(&reply);
    return refused == nullptr ? "taken" : refused->error.message;
  }
};

TEST(ShotsTest, EachIsOneTaskForOneLane) {
  ShotFarm farm;
  farm.connect(generator("a", 2));
  farm.submit(shots("job", 3));
  const auto at_work = farm.take_segments("a");
  ASSERT_EQ(at_work.size(), 2U);
  for (const net::Assign& task : at_work) {
    EXPECT_EQ(segment(task).first, 0);
    EXPECT_EQ(segment(task).last, kFrames);
    EXPECT_EQ(segment(task).source.shot.prompt, "a fox");
    EXPECT_EQ(segment(task).source.shot.seed, 7U);
    EXPECT_TRUE(segment(task).artifact_key.empty());
  }
  EXPECT_NE(at_work[0].lane, at_work[1].lane);
  for (const net::Assign& task : at_work) farm.finish("a", task, 1.0);
  farm.run_to_end();
  const net::JobStatus status = farm.status("job");
  EXPECT_EQ(status.summary.state, net::JobState::kDone);
  for (const net::ClipStatus& clip : status.clips) EXPECT_EQ(clip.segments_done, 1U);
}

TEST(ShotsTest, AskedSegmentLengthsDoNotCutThem) {
  ShotFarm farm;
  farm.state.rules.segment_frames_max = 8;
  farm.connect(generator("a"));
  farm.submit(shots("job").segment_frames(4));
  const auto at_work = farm.take_segments("a");
  ASSERT_EQ(at_work.size(), 1U);
  EXPECT_EQ(segment(at_work[0]).last, kFrames);
}

TEST(ShotsTest, LanesThatRenderNoneGetNone) {
  ShotFarm farm;
  farm.connect(WorkerBuilder("plain"));
  farm.submit(shots("job"));
  EXPECT_TRUE(farm.take_assigns("plain").empty());
  EXPECT_THAT(farm.status("job").summary.reason, HasSubstr("it renders no shots"));
  farm.connect(generator("able"));
  EXPECT_EQ(farm.take_segments("able").size(), 1U);
}

TEST(ShotsTest, WhatTheModelCannotMakeIsRefusedWithTheNearest) {
  ShotFarm farm;
  JobBuilder wide = shots("wide");
  wide.request.clips[0].source.shot.width = 854;
  EXPECT_THAT(farm.refusal(wide), HasSubstr("the nearest is 848x480"));
  JobBuilder odd = shots("odd");
  odd.request.clips[0].source.shot.frames = 80;
  EXPECT_THAT(farm.refusal(odd), HasSubstr("the nearest is 81"));
  JobBuilder steps = shots("steps");
  steps.request.clips[0].source.shot.steps = 0;
  EXPECT_THAT(farm.refusal(steps), HasSubstr("1 to 1000"));
  EXPECT_THAT(farm.refusal(shots("compiled").executor("compiled")), HasSubstr("not compiled yet"));
  JobBuilder empty = shots("empty");
  empty.request.clips[0].source.shot.prompt.clear();
  EXPECT_EQ(farm.refusal(empty), "taken");
}

TEST(ShotsTest, TheOneKindOfClipIsNotTakenForTheOther) {
  ShotFarm farm;
  JobBuilder clip = shots("clip");
  clip.request.clips[0].source = JobBuilder("x").request.clips[0].source;
  EXPECT_THAT(farm.refusal(clip), HasSubstr("no shot"));
  JobBuilder shot("shot");
  shot.request.clips[0].source = shots("x").request.clips[0].source;
  EXPECT_THAT(farm.refusal(shot), HasSubstr("a shot, and its job upscales"));
  JobBuilder model = shots("model");
  model.request.manifest = sample_manifest();
  EXPECT_THAT(farm.refusal(model), HasSubstr("generator"));
}

TEST(ShotsTest, ALaneThatCannotHoldItIsNotGivenIt) {
  ShotFarm farm;
  farm.needs_bytes = 2 * kSmallBudget;
  farm.connect(generator("small").budget(kSmallBudget));
  farm.connect(generator("large").budget(4 * kSmallBudget));
  farm.submit(shots("job", 3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(farm.take_segments("small").empty());
    const auto task = farm.take_segments("large");
    ASSERT_EQ(task.size(), 1U);
    farm.finish("large", task[0]);
  }
}

TEST(ShotsTest, WhereNoLaneHoldsItTheRefusalSaysWhatWould) {
  ShotFarm farm;
  farm.needs_bytes = 2 * kSmallBudget;
  farm.connect(generator("small").budget(kSmallBudget));
  farm.submit(shots("job"));
  EXPECT_TRUE(farm.take_segments("small").empty());
  const net::JobStatus status = farm.status("job");
  EXPECT_EQ(status.summary.state, net::JobState::kFailed);
  EXPECT_THAT(status.summary.reason, HasSubstr("holds 100 MiB, 200 MiB are needed; fewer frames or a smaller size take less"));
}

TEST(ShotsTest, AfterOneOutOfMemoryALaneOfThatKindGetsNoSuchShot) {
  ShotFarm farm;
  farm.connect(generator("a"));
  farm.submit(shots("job"));
  const auto task = farm.take_segments("a");
  ASSERT_EQ(task.size(), 1U);
  farm.fail("a", task[0], net::FailureKind::kOutOfMemory);
  EXPECT_TRUE(farm.take_segments("a").empty());
  EXPECT_EQ(farm.status("job").summary.state, net::JobState::kFailed);
  EXPECT_THAT(farm.status("job").summary.reason, HasSubstr("no lane holds it"));
}

TEST(ShotsTest, ALaneThatDiesInTheMiddleCostsOneTry) {
  ShotFarm farm;
  farm.connect(generator("a"));
  farm.submit(shots("job"));
  const auto first = farm.take_segments("a");
  ASSERT_EQ(first.size(), 1U);
  farm.fail("a", first[0], net::FailureKind::kCrash);
  const auto again = farm.take_segments("a");
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].task, first[0].task);
  EXPECT_EQ(again[0].attempt.value, 2U);
  farm.finish("a", again[0]);
  farm.run_to_end();
  EXPECT_EQ(farm.status("job").summary.state, net::JobState::kDone);
}

TEST(ShotsTest, TheStatusSaysHowFarEachIs) {
  ShotFarm farm;
  farm.connect(generator("a"));
  farm.submit(shots("job"));
  const auto task = farm.take_segments("a");
  ASSERT_EQ(task.size(), 1U);
  farm.say("a", net::TaskProgress{task[0].task, task[0].attempt, 0, 0, 0, {"steps", 12, 30, 4.5}});
  const net::JobStatus status = farm.status("job");
  ASSERT_EQ(status.shots.size(), 1U);
  EXPECT_EQ(status.shots[0].task, task[0].task);
  EXPECT_EQ(status.shots[0].worker, "a");
  EXPECT_EQ(status.shots[0].stage, (net::StageProgress{"steps", 12, 30, 4.5}));
  EXPECT_TRUE(farm.take_assigns("a").empty());
}

TEST(ShotsTest, CardsComputeThemInBfloat16) {
  ShotFarm farm;
  farm.connect(generator("a").card("sm_90"));
  farm.submit(shots("job"));
  const net::Assign probe = farm.take_assign("a");
  EXPECT_EQ(std::get<net::ProbeSpec>(probe.spec).dtypes, std::vector<std::string>{"bfloat16"});
}

TEST(ShotsTest, WeightsThatStayWhereTheyAreAreNotKeptInTheStore) {
  ShotFarm farm;
  JobBuilder job = shots("job");
  const std::string placed(64, 'd');
  net::PackageFile& weights = job.request.package.files.emplace_back();
  weights.path = "weights/a.safetensors";
  weights.blob = {placed, 100};
  weights.place = "/models/a.safetensors";
  farm.submit(job);
  const auto& kept = farm.kept().at("job");
  EXPECT_EQ(std::count(kept.begin(), kept.end(), placed), 0);
  EXPECT_EQ(std::count(kept.begin(), kept.end(), job.request.package.files[0].blob.sha256), 1);
}

TEST(ShotsTest, CancelledTheyAreTriedAgain) {
  ShotFarm farm;
  farm.connect(generator("a"));
  farm.submit(shots("job"));
  const auto task = farm.take_segments("a");
  ASSERT_EQ(task.size(), 1U);
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kCancel});
  EXPECT_EQ(farm.take<net::CancelTask>("a").size(), 1U);
  (void)farm.ask(net::ControlJob{"job", net::JobVerb::kRetry});
  const auto again = farm.take_segments("a");
  ASSERT_EQ(again.size(), 1U);
  farm.finish("a", again[0]);
  farm.run_to_end();
  EXPECT_EQ(farm.status("job").summary.state, net::JobState::kDone);
}

}  // namespace
}  // namespace kiln::coordinator::test
