#include "lane/core/guidance_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

namespace kiln::lane {
namespace {

using testing::HasSubstr;

constexpr GuidedStep high(double scale, bool unconditional) { return {Expert::kHighNoise, scale, unconditional}; }
constexpr GuidedStep low(double scale, bool unconditional) { return {Expert::kLowNoise, scale, unconditional}; }

const std::vector<float> kTimesteps = {999, 875, 874, 500, 20};

struct PlanRow {
  std::string name;
  GuidanceSettings settings;
  std::vector<GuidedStep> steps;
  std::optional<int> switch_step;
  int passes;
  std::string reason;  // a part of it
};

void PrintTo(const PlanRow& row, std::ostream* out) { *out << row.name; }

class GuidancePlanTest : public testing::TestWithParam<PlanRow> {};

TEST_P(GuidancePlanTest, SaysWhoRendersEachStepAndHow) {
  const PlanRow& row = GetParam();
  const auto plan = plan_guidance(row.settings, kTimesteps);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->steps, row.steps);
  EXPECT_EQ(plan->switch_step, row.switch_step);
  EXPECT_EQ(plan->passes, row.passes);
  EXPECT_THAT(plan->reason, HasSubstr(row.reason));
}

INSTANTIATE_TEST_SUITE_P(
    Plans, GuidancePlanTest,
    testing::Values(
        PlanRow{"OneExpert", {.scale = 6}, std::vector(5, high(6, true)), std::nullopt, 10, "one expert; 5 of 5"},
        PlanRow{"NoGuidance", {.scale = 1}, std::vector(5, high(1, false)), std::nullopt, 5, "0 of 5"},
        PlanRow{"LessThanOneIsNone", {.scale = 0.5}, std::vector(5, high(1, false)), std::nullopt, 5, "0 of 5"},
        PlanRow{"TwoExperts", {.scale = 4, .low_noise_scale = 3, .boundary_ratio = 0.875},
                {high(4, true), high(4, true), low(3, true), low(3, true), low(3, true)}, 2, 10,
                "low-noise expert from step 3 of 5: timestep 874 is below the boundary 875"},
        PlanRow{"TheSameScaleForBoth", {.scale = 4, .boundary_ratio = 0.9},
                {high(4, true), low(4, true), low(4, true), low(4, true), low(4, true)}, 1, 10, "from step 2"},
        PlanRow{"GuidedWhereThereIsMuchNoiseOnly", {.scale = 4, .low_noise_scale = 1, .boundary_ratio = 0.875},
                {high(4, true), high(4, true), low(1, false), low(1, false), low(1, false)}, 2, 7, "2 of 5"},
        PlanRow{"NoGuidanceForBoth", {.scale = 1, .boundary_ratio = 0.875},
                {high(1, false), high(1, false), low(1, false), low(1, false), low(1, false)}, 2, 5, "0 of 5"},
        PlanRow{"HighAlone", {.scale = 2, .boundary_ratio = 0.0}, std::vector(5, high(2, true)), std::nullopt, 10,
                "high-noise expert alone"},
        PlanRow{"LowAlone", {.scale = 2, .boundary_ratio = 1.0}, std::vector(5, low(2, true)), std::nullopt, 10,
                "low-noise expert alone"},
        PlanRow{"BoundaryOfAnotherTraining", {.scale = 2, .boundary_ratio = 0.5, .train_timesteps = 1749},
                {high(2, true), high(2, true), low(2, true), low(2, true), low(2, true)}, 2, 10, "874.5"}),
    [](const auto& row) { return row.param.name; });

struct RefusedRow {
  std::string name;
  GuidanceSettings settings;
  std::string message;
};

void PrintTo(const RefusedRow& row, std::ostream* out) { *out << row.name; }

class RefusedGuidanceTest : public testing::TestWithParam<RefusedRow> {};

TEST_P(RefusedGuidanceTest, SaysWhatIsWrong) {
  const auto plan = plan_guidance(GetParam().settings, kTimesteps);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(plan.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RefusedGuidanceTest,
    testing::Values(RefusedRow{"NoNumber", {.scale = NAN}, "guidance of nan"},
                    RefusedRow{"Negative", {.scale = -1}, "guidance of -1"},
                    RefusedRow{"NegativeForLowNoise", {.scale = 4, .low_noise_scale = -2, .boundary_ratio = 0.9}, "guidance of -2"},
                    RefusedRow{"SecondScaleOfOneExpert", {.scale = 4, .low_noise_scale = 3}, "one expert only"},
                    RefusedRow{"LowNoiseAlone", {.scale = 1, .low_noise_scale = 3, .boundary_ratio = 0.9}, "has no effect beside 1"},
                    RefusedRow{"BoundaryBeyondAll", {.scale = 4, .boundary_ratio = 1.5}, "a boundary of 1.5"},
                    RefusedRow{"BoundaryThatIsNone", {.scale = 4, .boundary_ratio = NAN}, "a boundary of nan"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace kiln::lane
