// What a job says of compiling, from its submission to the compile task.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "tests/coordinator/farm_env.h"

namespace kiln::coordinator::test {
namespace {

using net::CompileSettings;
using net::JobState;
using ::testing::HasSubstr;

JobBuilder job_of(const std::string& name, const CompileSettings& settings) {
  JobBuilder job = JobBuilder(name).executor("compiled");
  job.request.compile = settings;
  return job;
}

// Lanes on cards of one arch, with these names in this order.
WorkerBuilder with_cards(const std::string& worker, const std::vector<std::string>& names) {
  WorkerBuilder out = WorkerBuilder(worker, static_cast<int>(names.size())).card("sm_90");
  for (std::size_t i = 0; i < names.size(); ++i) out.hello.lanes[i].kind.device_name = names[i];
  return out;
}

std::string key_of(const FarmEnv& farm, const std::string& job) { return farm.job(job).clips.at(0).plan->artifact_key; }

std::vector<net::CompileWanted> wanted(const FarmEnv& farm) {
  std::vector<net::CompileWanted> out;
  for (const net::Fact& fact : farm.journal) {
    if (const auto* one = std::get_if<net::CompileWanted>(&fact)) out.push_back(*one);
  }
  return out;
}

TEST(CompileSettingsFarmTest, TwoModesAreTwoArtifactsAndTheCompilerIsToldWhich) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(job_of("plain", {}));
  farm.submit(job_of("tuned", {.mode = "max-autotune-no-cudagraphs"}));
  std::vector<net::CompileSpec> specs;
  for (bool any = true; any;) {
    any = false;
    for (const net::Assign& task : farm.take_assigns("a")) {
      any = true;
      if (const auto* spec = std::get_if<net::CompileSpec>(&task.spec)) specs.push_back(*spec);
      farm.finish("a", task);
    }
  }
  ASSERT_EQ(specs.size(), 2U);
  EXPECT_NE(key_of(farm, "plain"), key_of(farm, "tuned"));
  for (const net::CompileSpec& spec : specs) {
    EXPECT_EQ(spec.settings.mode, spec.key == key_of(farm, "tuned") ? "max-autotune-no-cudagraphs" : "default");
  }
  EXPECT_EQ(farm.job("plain").ended, JobState::kDone);
  EXPECT_EQ(farm.job("tuned").ended, JobState::kDone);
  EXPECT_EQ(farm.replayed().durable, farm.state.durable);
}

TEST(CompileSettingsFarmTest, ModesThatDifferInCudaGraphsAloneShareTheArtifact) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(job_of("one", {.mode = "max-autotune"}));
  farm.submit(job_of("other", {.mode = "max-autotune-no-cudagraphs"}));
  farm.run_to_end();
  EXPECT_EQ(key_of(farm, "one"), key_of(farm, "other"));
  ASSERT_EQ(wanted(farm).size(), 1U);
  EXPECT_EQ(wanted(farm)[0].settings.mode, "max-autotune-no-cudagraphs");
}

TEST(CompileSettingsFarmTest, WhatShapesNoCodeSharesTheArtifact) {
  FarmEnv farm;
  farm.connect(WorkerBuilder("a"));
  farm.submit(job_of("plain", {}));
  const std::vector<std::function<void(CompileSettings&)>> changes{
      [](auto& s) { s.compile_transformer_blocks_only = false; },
      [](auto& s) { s.fullgraph = true; },
      [](auto& s) { s.dynamo_cache_size_limit = 1; },
      [](auto& s) { s.dynamo_recompile_limit = 1; },
      [](auto& s) { s.force_parameter_static_shapes = true; },
      [](auto& s) { s.allow_unmerged_lora_compile = true; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    CompileSettings settings;
    changes[i](settings);
    farm.submit(job_of("job-" + std::to_string(i), settings));
  }
  farm.run_to_end();
  for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(key_of(farm, "job-" + std::to_string(i)), key_of(farm, "plain"));
  ASSERT_EQ(wanted(farm).size(), 1U);
  EXPECT_EQ(wanted(farm)[0].settings, CompileSettings()) << "what is the default is written nowhere";
}

TEST(CompileSettingsFarmTest, WhatCannotBeHadIsRefusedWithWhatToDo) {
  struct Row {
    CompileSettings settings;
    const char* says;
  };
  const std::vector<Row> table{{{.backend = "cudagraphs"}, "use inductor"},
                               {{.mode = "reduce-overhead"}, "use default, or max-autotune-no-cudagraphs"},
                               {{.dynamic = true}, "leave it false"},
                               {{.backend = "inducto"}, "Did you mean 'inductor'?"},
                               {{.mode = "max-autotun"}, "Did you mean 'max-autotune'?"}};
  for (const Row& row : table) {
    FarmEnv farm;
    const net::ClientReply reply = farm.ask(net::Submit{job_of("job", row.settings).request});
    const auto* refused = std::get_if<net::Refused>(&reply);
    ASSERT_NE(refused, nullptr) << row.says;
    EXPECT_THAT(refused->error.message, HasSubstr(row.says));
    EXPECT_EQ(refused->error.exit, ExitCode::kBadConfig);
    EXPECT_TRUE(farm.state.durable.jobs.empty());
  }
}

// Jobs of two pools, whose cards differ in nothing but their names.
TEST(CompileSettingsFarmTest, CardsOfOneArchShareAnArtifactUnlessItWasTunedOnOne) {
  for (const std::string mode : {"default", "max-autotune", "max-autotune-no-cudagraphs"}) {
    FarmEnv farm;
    farm.connect(with_cards("a", {"H100"}).pool("left"));
    farm.connect(with_cards("b", {"H200"}).pool("right"));
    farm.submit(job_of("one", {.mode = mode}).pool("left"));
    farm.submit(job_of("two", {.mode = mode}).pool("right"));
    farm.run_to_end();
    const bool shared = mode == "default";
    EXPECT_EQ(key_of(farm, "one") == key_of(farm, "two"), shared) << mode;
    EXPECT_EQ(wanted(farm).size(), shared ? 1U : 2U) << mode;
    EXPECT_EQ(farm.job("one").ended, JobState::kDone) << farm.job("one").reason;
    EXPECT_EQ(farm.job("two").ended, JobState::kDone) << farm.job("two").reason;
  }
}

// Its own worker goes before it is made; the one that is left has a card of another name.
TEST(CompileSettingsFarmTest, ACardOfAnotherNameCompilesWhatIsNotTuned) {
  for (const std::string mode : {"default", "max-autotune"}) {
    FarmEnv farm;
    farm.connect(with_cards("a", {"H100"}));
    farm.submit(job_of("job", {.mode = mode}));
    farm.finish("a", farm.take_assign("a"));  // the probe
    const net::Assign compile = farm.take_assign("a");
    ASSERT_TRUE(std::holds_alternative<net::CompileSpec>(compile.spec));
    farm.connect(with_cards("b", {"H200"}));
    farm.fail("a", compile, net::FailureKind::kError);
    const bool by_b = !farm.take_assigns("b").empty();
    const bool by_a = !farm.take_assigns("a").empty();
    EXPECT_EQ(by_b, mode == "default") << mode;
    EXPECT_EQ(by_a, mode != "default") << mode;
    const auto answer = std::get<net::Explanation>(farm.ask(net::Explain{compile.task, ""}));
    EXPECT_THAT(answer.lines.at(0), HasSubstr("runs on"));
  }
}

TEST(CompileSettingsFarmTest, ATunedArtifactSaysWhichCardItWaitsFor) {
  FarmEnv farm;
  farm.connect(with_cards("a", {"H100"}));
  farm.submit(job_of("job", {.mode = "max-autotune"}));
  farm.finish("a", farm.take_assign("a"));  // the probe
  farm.connect(with_cards("b", {"H200"}));
  const net::CompileWanted& artifact = farm.state.durable.artifacts.begin()->second.wanted;
  const Turn turn{farm.state, {}};
  EXPECT_EQ(no_builder_reason(turn, artifact, *turn.worker("b")), "b compiles for sm_90/avx2/H200, not for sm_90/avx2/H100");
  EXPECT_EQ(no_builder_reason(turn, artifact, *turn.worker("a")), std::nullopt);
}

TEST(CompileSettingsFarmTest, AWorkerTunesOnTheCardThatRenders) {
  for (const std::string mode : {"default", "max-autotune"}) {
    FarmEnv farm;
    WorkerBuilder worker = with_cards("a", {"H100", "H200"});
    worker.hello.lanes[0].budget_bytes = 1U << 20U;  // holds nothing: the second one renders
    farm.connect(worker);
    farm.submit(job_of("job", {.mode = mode}));
    farm.finish("a", farm.take_assign("a"));  // the probe
    const net::Assign compile = farm.take_assign("a");
    EXPECT_EQ(compile.lane, mode == "default" ? net::compile_lane(LaneId{0}) : net::compile_lane(LaneId{1}));
    farm.finish("a", compile);
    farm.run_to_end();
    EXPECT_EQ(farm.job("job").ended, JobState::kDone) << farm.job("job").reason;
  }
}

// Three keys, two cards of one arch and one of another, cores for two compiles.
TEST(CompileSettingsFarmTest, CardsOfAWorkerCompileSideBySideAsFarAsItsCoresCarryIt) {
  FarmEnv farm;
  WorkerBuilder worker = with_cards("a", {"RTX 3090", "RTX 2080 Ti", "RTX 3090"});
  worker.hello.lanes[1].kind.arch = "sm_75";
  worker.hello.compiles_at_once = 2;
  farm.connect(worker);
  std::vector<net::Assign> compiles;
  for (const int width : {32, 48, 64}) {
    farm.tile_width = width;
    farm.submit(job_of("job-" + std::to_string(width), {}));
    for (bool any = true; any;) {
      any = false;
      for (const net::Assign& task : farm.take_assigns("a")) {
        any = true;
        if (std::holds_alternative<net::CompileSpec>(task.spec)) {
          compiles.push_back(task);
        } else {
          farm.finish("a", task);
        }
      }
    }
  }
  const LaneId first = net::compile_lane(LaneId{0});
  const LaneId third = net::compile_lane(LaneId{2});
  ASSERT_EQ(compiles.size(), 2U);
  EXPECT_EQ((std::set{compiles[0].lane, compiles[1].lane}), (std::set{first, third}));
  for (const net::Assign& compile : compiles) EXPECT_EQ(std::get<net::CompileSpec>(compile.spec).activation_bytes, farm.needs_bytes);
  const auto waiting = std::find_if(farm.state.durable.artifacts.begin(), farm.state.durable.artifacts.end(), [&](const auto& one) {
    return farm.state.durable.tasks.at(one.second.wanted.task).state == TaskState::kWaiting;
  });
  ASSERT_NE(waiting, farm.state.durable.artifacts.end());
  const auto answer = std::get<net::Explanation>(farm.ask(net::Explain{waiting->second.wanted.task, ""}));
  EXPECT_THAT(answer.lines.at(0), HasSubstr("or for one of 1 others"));
  // The third takes the place that comes free.
  farm.finish("a", compiles[0]);
  const net::Assign last = farm.take_assigns("a").at(0);
  EXPECT_EQ(last.lane, compiles[0].lane);
}

TEST(CompileSettingsFarmTest, ALaneThatWaitsForACompileOfItsCardSaysSo) {
  FarmEnv farm;
  farm.one_segment_at_a_time();
  farm.connect(with_cards("a", {"H100"}));
  JobBuilder job("job");
  farm.submit(job);
  farm.finish("a", farm.take_assign("a"));  // the probe
  std::optional<net::Assign> segment;
  for (const net::Assign& task : farm.take_assigns("a")) {
    if (std::holds_alternative<net::SegmentSpec>(task.spec)) segment = task;
  }
  ASSERT_TRUE(segment);
  EXPECT_EQ(std::get<net::SegmentSpec>(segment->spec).activation_bytes, farm.needs_bytes);
  const auto explain = [&] { return std::get<net::Explanation>(farm.ask(net::Explain{segment->task, ""})).lines.at(0); };
  const auto lane = [&] { return std::get<net::WorkerList>(farm.ask(net::ListWorkers{})).workers.at(0).lanes.at(0); };
  EXPECT_THAT(explain(), HasSubstr("runs on a lane 0"));
  farm.say("a", net::Heartbeat{0, {{segment->task, segment->attempt, LaneId{0}}}, false, {LaneId{0}}});
  EXPECT_THAT(explain(), HasSubstr("the lane waits for the compile of its card (task "));
  EXPECT_EQ(lane().state, "waiting");
  EXPECT_THAT(lane().why, HasSubstr("compile of its card"));
  farm.say("a", net::Heartbeat{0, {{segment->task, segment->attempt, LaneId{0}}}, false, {}});
  EXPECT_EQ(lane().state, "busy");
}

}  // namespace
}  // namespace kiln::coordinator::test
