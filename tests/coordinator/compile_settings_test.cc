// What a job says of compiling, from its submission to the compile task.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

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

TEST(CompileSettingsFarmTest, AWorkerTunesOnItsFirstCardAlone) {
  for (const std::string mode : {"default", "max-autotune"}) {
    FarmEnv farm;
    WorkerBuilder worker = with_cards("a", {"H100", "H200"});
    worker.hello.lanes[0].budget_bytes = 1U << 20U;  // holds nothing: the second one renders
    farm.connect(worker);
    farm.submit(job_of("job", {.mode = mode}));
    farm.run_to_end();
    EXPECT_EQ(farm.job("job").ended, mode == "default" ? JobState::kDone : JobState::kFailed) << farm.job("job").reason;
    if (mode != "default") {
      EXPECT_THAT(farm.job("job").reason, HasSubstr("a worker compiles on its first"));
    }
  }
}

}  // namespace
}  // namespace kiln::coordinator::test
