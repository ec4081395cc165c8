// Schedules and samplers against diffusers' own, step by step; and that these tests would see what may go wrong.
#include "lane/pipelines/flow_sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/lane/generate/golden.h"

namespace kiln::lane {
namespace {

// Ten times what is tolerated: a mistake is to stand out.
constexpr double kMistake = 10 * kTolerance;

// The largest error of all steps. `settings` need not be the case's own.
double error_of(const nlohmann::json& one, const FlowSettings& settings) {
  auto sampler = FlowSampler::create(settings);
  EXPECT_TRUE(sampler) << (sampler ? "" : sampler.error().message);
  if (!sampler) return INFINITY;
  const at::Tensor predictions = golden().tensor(one, "predictions");
  const at::Tensor expected = golden().tensor(one, "latents");
  at::Tensor latents = expected.slice(0, 0, 1);
  double worst = 0;
  for (std::int64_t step = 0; step < predictions.size(0) && !sampler->done(); ++step) {
    auto next = sampler->step(predictions.slice(0, step, step + 1), latents);
    EXPECT_TRUE(next) << (next ? "" : next.error().message);
    if (!next) return INFINITY;
    latents = *next;
    worst = std::max(worst, relative_error(latents, expected.slice(0, step + 1, step + 2)));
  }
  return worst;
}

std::vector<nlohmann::json> sampler_cases(std::string_view solver, int steps_min) {
  std::vector<nlohmann::json> cases;
  for (const auto& one : golden().cases["samplers"]) {
    if (one["solver"] == solver && one["steps"] >= steps_min) cases.push_back(one);
  }
  EXPECT_GT(cases.size(), 10U);
  return cases;
}

void expect_numbers(const std::vector<float>& found, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(found.size(), static_cast<std::size_t>(expected.numel())) << what;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto wanted = expected[static_cast<std::int64_t>(i)].item<float>();
    EXPECT_NEAR(found[i], wanted, kTolerance * std::fabs(wanted)) << what << " " << i;
  }
}

TEST(FlowScheduleGoldenTest, SigmasAndTimestepsAreThoseOfDiffusers) {
  for (const auto& one : golden().cases["samplers"]) {
    const auto schedule = make_flow_schedule(settings_of(one));
    ASSERT_TRUE(schedule) << one;
    expect_numbers(schedule->sigmas, golden().tensor(one, "sigmas"), one.dump());
    expect_numbers(schedule->timesteps, golden().tensor(one, "timesteps"), one.dump());
  }
}

TEST(FlowSamplerTest, EulerLeadsWhereDiffusersDoes) {
  for (const auto& one : sampler_cases("euler", 1)) EXPECT_LE(error_of(one, settings_of(one)), kTolerance) << one;
}

TEST(FlowSamplerTest, UniPcLeadsWhereDiffusersDoesForEveryOrderShiftAndNumberOfSteps) {
  for (const auto& one : sampler_cases("unipc", 1)) EXPECT_LE(error_of(one, settings_of(one)), kTolerance) << one;
}

TEST(FlowSamplerTest, AStepTooFarIsSeen) {
  for (const std::string solver : {"euler", "unipc"}) {
    for (const auto& one : sampler_cases(solver, 2)) {
      FlowSettings wrong = settings_of(one);
      if (wrong.first_step + 1 == wrong.steps) continue;
      ++wrong.first_step;
      EXPECT_GT(error_of(one, wrong), kMistake) << one;
    }
  }
}

TEST(FlowSamplerTest, AShiftThatIsIgnoredIsSeen) {
  for (const std::string solver : {"euler", "unipc"}) {
    for (const auto& one : sampler_cases(solver, 2)) {
      FlowSettings wrong = settings_of(one);
      wrong.shift = wrong.shift == 1 ? 3 : 1;
      EXPECT_GT(error_of(one, wrong), kMistake) << one;
    }
  }
}

TEST(FlowSamplerTest, AnotherOrderIsSeen) {
  for (const auto& one : sampler_cases("unipc", 5)) {
    FlowSettings wrong = settings_of(one);
    if (wrong.steps - wrong.first_step < 5) continue;  // too few for the orders to differ
    for (int order = 1; order <= kFlowOrderMax; ++order) {
      if (order == settings_of(one).order) continue;
      wrong.order = order;
      EXPECT_GT(error_of(one, wrong), kMistake) << one << " with order " << order;
    }
  }
}

TEST(FlowSamplerTest, TheOtherSolverIsSeen) {
  for (const auto& one : sampler_cases("unipc", 2)) {
    FlowSettings wrong = settings_of(one);
    wrong.solver = FlowSolver::kEuler;
    EXPECT_GT(error_of(one, wrong), kMistake) << one;
  }
}

TEST(FlowSamplerTest, StopsWhereItIsToldTo) {
  const auto one = sampler_cases("unipc", 15).front();
  FlowSettings settings = settings_of(one);
  settings.last_step = 4;
  EXPECT_LE(error_of(one, settings), kTolerance);
  auto sampler = FlowSampler::create(settings);
  ASSERT_TRUE(sampler);
  const at::Tensor latents = golden().tensor(one, "latents").slice(0, 0, 1);
  for (int step = 0; step < 4; ++step) {
    EXPECT_EQ(sampler->next_step(), step);
    EXPECT_FALSE(sampler->done());
    ASSERT_TRUE(sampler->step(latents, latents));
  }
  EXPECT_TRUE(sampler->done());
}

TEST(FlowSamplerTest, APredictionInHalfPrecisionIsSteppedInSingle) {
  const auto one = sampler_cases("unipc", 15).front();
  auto rough = FlowSampler::create(settings_of(one));
  auto exact = FlowSampler::create(settings_of(one));
  ASSERT_TRUE(rough && exact);
  const at::Tensor latents = golden().tensor(one, "latents").slice(0, 0, 1);
  const at::Tensor prediction = golden().tensor(one, "predictions").slice(0, 0, 1).to(at::kBFloat16);
  const auto found = rough->step(prediction, latents);
  const auto expected = exact->step(prediction.to(at::kFloat), latents);
  ASSERT_TRUE(found && expected);
  EXPECT_EQ(found->scalar_type(), at::kFloat);
  EXPECT_TRUE(found->equal(*expected));
}

TEST(FlowSamplerTest, WhatDoesNotFitTogetherIsAnErrorAndNoStep) {
  auto sampler = FlowSampler::create({});
  ASSERT_TRUE(sampler);
  const at::Tensor latents = golden().tensor(golden().cases["samplers"][0], "latents").slice(0, 0, 1);
  EXPECT_FALSE(sampler->step(latents.slice(1, 0, 1), latents));
  EXPECT_FALSE(sampler->step(latents, latents.to(at::kBFloat16)));
  EXPECT_EQ(sampler->next_step(), 0);
}

}  // namespace
}  // namespace kiln::lane
