#include "sharding/output_plan.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

TEST(OutputPlanTest, ReadsScalesWithoutRounding) {
  EXPECT_EQ(*parse_scale("2"), (ScaleRatio{2, 1}));
  EXPECT_EQ(*parse_scale("1.50"), (ScaleRatio{3, 2}));
  EXPECT_EQ(*parse_scale(".25"), (ScaleRatio{1, 4}));
  EXPECT_EQ(*parse_scale("3.3333"), (ScaleRatio{33333, 10000}));
  EXPECT_EQ(to_string(ScaleRatio{3, 2}), "1.5");
  EXPECT_EQ(to_string(ScaleRatio{4, 1}), "4");
}

TEST(OutputPlanTest, RefusesWhatIsNoScale) {
  for (const char* text :
       {"", ".", "0", "0.0", "-1", "1e3", "nan", "2x", "1.23456", "12345", "1.2.3"}) {
    const auto scale = parse_scale(text);
    ASSERT_FALSE(scale) << text;
    EXPECT_EQ(exit_code(scale.error()), 2) << text;
  }
}

TEST(OutputPlanTest, RoundsEachSideToTheNearestPixelHalvesUp) {
  struct Row {
    int source_width, source_height;
    const char* scale;
    int width, height;
  };
  for (const Row& row :
       {Row{320, 180, "4", 1280, 720}, Row{321, 181, "1.5", 482, 272}, Row{101, 1, "0.25", 25, 1},
        Row{3, 3, "1.3333", 4, 4}, Row{1, 1, "0.1", 1, 1}}) {
    const auto size =
        plan_output_size(row.source_width, row.source_height, 4, *parse_scale(row.scale));
    ASSERT_TRUE(size);
    EXPECT_EQ(size->width, row.width) << row.scale;
    EXPECT_EQ(size->height, row.height) << row.scale;
    EXPECT_EQ(size->model_width, row.source_width * 4);
    EXPECT_EQ(size->is_resampled(), row.width != row.source_width * 4);
  }
}

TEST(OutputPlanTest, RefusesAScaleAboveTheModels) {
  const auto size = plan_output_size(320, 180, 4, *parse_scale("4.5"));
  ASSERT_FALSE(size);
  EXPECT_EQ(exit_code(size.error()), 2);
  EXPECT_NE(size.error().message.find("--scale 4.5 is more than the model's 4"), std::string::npos);
}

TEST(OutputPlanTest, SharesCoresAmongLanes) {
  EXPECT_EQ(plan_lane_threads(2, 1).threads, 2);
  EXPECT_EQ(plan_lane_threads(2, 2).threads, 1);
  EXPECT_EQ(plan_lane_threads(2, 4).threads, 1);
  EXPECT_EQ(plan_lane_threads(16, 3).threads, 5);
  EXPECT_EQ(plan_lane_threads(128, 1).threads, kThreadsPerLaneMax);
  EXPECT_EQ(plan_lane_threads(0, 0).threads, 1);
  EXPECT_EQ(plan_lane_threads(2, 4, 2).threads, 2);
}

TEST(OutputPlanTest, ActivationsGetHalfOfTheMemorySharedByCores) {
  constexpr std::uint64_t kGib = 1U << 30U;
  EXPECT_EQ(plan_activation_bytes(8 * kGib, 2), 2 * kGib);
  EXPECT_EQ(plan_activation_bytes(8 * kGib, 0), 4 * kGib);
  EXPECT_EQ(plan_activation_bytes(8 * kGib, 2, 5), 5U << 20U);
  EXPECT_EQ(plan_activation_bytes(0, 2), 0U);  // unknown: no limit
}

}  // namespace
}  // namespace kiln::sharding
