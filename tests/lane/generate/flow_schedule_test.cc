#include "lane/core/flow_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "lane/core/unipc_plan.h"

namespace kiln::lane {
namespace {

TEST(FlowScheduleTest, FallsFromNoiseToNoneForEverySolver) {
  for (const FlowSolver solver : {FlowSolver::kEuler, FlowSolver::kUniPc}) {
    for (int steps = 1; steps <= 60; ++steps) {
      const auto schedule = make_flow_schedule({.solver = solver, .shift = 5, .steps = steps});
      ASSERT_TRUE(schedule);
      ASSERT_EQ(schedule->sigmas.size(), static_cast<std::size_t>(steps) + 1);
      ASSERT_EQ(schedule->timesteps.size(), static_cast<std::size_t>(steps));
      EXPECT_NEAR(schedule->sigmas.front(), 1, 2e-6);  // UniPC starts 1e-6 below
      EXPECT_EQ(schedule->sigmas.back(), 0);
      for (std::size_t i = 0; i + 1 < schedule->sigmas.size(); ++i) ASSERT_GT(schedule->sigmas[i], schedule->sigmas[i + 1]);
    }
  }
}

TEST(UniPcPlanTest, LooksAtNoPredictionThatIsNotThere) {
  const auto schedule = make_flow_schedule({.steps = 6});
  ASSERT_TRUE(schedule);
  const auto plan = plan_unipc(schedule->sigmas, 3, 1);
  ASSERT_EQ(plan.size(), 5U);
  std::vector<std::size_t> predictors, correctors;
  for (const UniPcStep& step : plan) {
    predictors.push_back(step.predictor.older.size());
    if (step.corrector) correctors.push_back(step.corrector->older.size());
  }
  EXPECT_EQ(predictors, (std::vector<std::size_t>{0, 1, 2, 1, 0}));
  EXPECT_EQ(correctors, (std::vector<std::size_t>{0, 1, 2, 1}));
  EXPECT_FALSE(plan.front().corrector);
}

struct RefusedRow {
  std::string name;
  FlowSettings settings;
  std::string message;
};

void PrintTo(const RefusedRow& row, std::ostream* out) { *out << row.name; }

class RefusedFlowTest : public testing::TestWithParam<RefusedRow> {};

TEST_P(RefusedFlowTest, SaysWhatIsWrong) {
  const auto schedule = make_flow_schedule(GetParam().settings);
  ASSERT_FALSE(schedule);
  EXPECT_EQ(schedule.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(schedule.error().message, testing::HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RefusedFlowTest,
    testing::Values(RefusedRow{"NoSteps", {.steps = 0}, "0 steps: from 1 to 1000"},
                    RefusedRow{"MoreStepsThanTheTraining", {.steps = 1001}, "1001 steps"},
                    RefusedRow{"NoShift", {.shift = 0}, "a shift of 0"},
                    RefusedRow{"ShiftThatIsNone", {.shift = NAN}, "a shift of nan"},
                    RefusedRow{"NoOrder", {.order = 0}, "order 0: from 1 to 3"},
                    RefusedRow{"OrderTooHigh", {.order = 4}, "order 4"},
                    RefusedRow{"NoTraining", {.train_timesteps = 1}, "trained with 1 timesteps"},
                    RefusedRow{"FirstStepBehindAll", {.steps = 4, .first_step = 4}, "steps 4 to 4 of 4"},
                    RefusedRow{"FirstStepBelowAll", {.steps = 4, .first_step = -1}, "steps -1 to 4"},
                    RefusedRow{"LastStepBeyondAll", {.steps = 4, .last_step = 5}, "steps 0 to 5 of 4"},
                    RefusedRow{"NothingBetween", {.steps = 4, .first_step = 2, .last_step = 2}, "steps 2 to 2"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace kiln::lane
