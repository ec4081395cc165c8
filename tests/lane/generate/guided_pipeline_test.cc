// WanPipeline's loop, with what its networks said: first noise, experts, guidance and solver together.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lane/core/guidance_plan.h"
#include "lane/pipelines/flow_sampler.h"
#include "lane/pipelines/initial_noise.h"
#include "tests/lane/generate/golden.h"

namespace kiln::lane {
namespace {

std::optional<double> number(const nlohmann::json& value) {
  return value.is_null() ? std::nullopt : std::optional<double>(value.get<double>());
}

GuidanceSettings guidance_of(const nlohmann::json& one) {
  return {one["scale"], number(one["low_noise_scale"]), number(one["boundary_ratio"])};
}

nlohmann::json calls_of(const GuidancePlan& plan, const std::vector<float>& timesteps) {
  nlohmann::json calls;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const GuidedStep& step = plan.steps[i];
    const std::string expert = step.expert == Expert::kHighNoise ? "high" : "low";
    calls.push_back({{"expert", expert}, {"unconditional", false}, {"timestep", timesteps[i]}});
    if (step.unconditional) calls.push_back({{"expert", expert}, {"unconditional", true}, {"timestep", timesteps[i]}});
  }
  return calls;
}

// The largest error of all steps, with `plan` in the place of the right one.
double error_of(const nlohmann::json& one, const GuidancePlan& plan) {
  auto sampler = FlowSampler::create(settings_of(one));
  const at::Tensor outputs = golden().tensor(one, "outputs");
  const at::Tensor expected = golden().tensor(one, "latents");
  at::Tensor latents = expected.slice(0, 0, 1);
  double worst = 0;
  std::int64_t call = 0;
  for (const GuidedStep& step : plan.steps) {
    at::Tensor said = outputs.slice(0, call, call + 1);
    if (step.unconditional) said = guided(said, outputs.slice(0, call + 1, call + 2), step.scale);
    call += step.unconditional ? 2 : 1;
    auto next = sampler->step(said, latents);
    if (!next) return INFINITY;
    latents = *next;
    worst = std::max(worst, relative_error(latents, expected.slice(0, sampler->next_step(), sampler->next_step() + 1)));
  }
  return worst;
}

TEST(GuidedPipelineTest, CallsTheExpertsThatWanPipelineCallsAndLeadsWhereItDoes) {
  ASSERT_GE(golden().cases["pipelines"].size(), 8U);
  for (const auto& one : golden().cases["pipelines"]) {
    const auto schedule = make_flow_schedule(settings_of(one));
    const auto plan = plan_guidance(guidance_of(one), schedule->timesteps);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(calls_of(*plan, schedule->timesteps), one["calls"]) << plan->reason;
    EXPECT_LE(error_of(one, *plan), kTolerance) << one["name"];
  }
}

TEST(GuidedPipelineTest, StartsFromTheSameNoise) {
  for (const auto& one : golden().cases["pipelines"]) {
    const auto noise = initial_noise(one["seed"], {.channels = 16, .frames = 3, .height = 2, .width = 4});
    ASSERT_TRUE(noise);
    EXPECT_TRUE(noise->equal(golden().tensor(one, "latents").slice(0, 0, 1))) << one["name"];
  }
}

TEST(GuidedPipelineTest, AnotherGuidanceIsSeen) {
  for (const auto& one : golden().cases["pipelines"]) {
    const auto schedule = make_flow_schedule(settings_of(one));
    auto plan = plan_guidance(guidance_of(one), schedule->timesteps);
    ASSERT_TRUE(plan);
    if (!plan->steps.back().unconditional) continue;
    plan->steps.back().scale += 0.1;  // as where the other expert's scale is taken
    EXPECT_GT(error_of(one, *plan), 10 * kTolerance) << one["name"];
  }
}

}  // namespace
}  // namespace kiln::lane
