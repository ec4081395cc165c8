#include "sharding/tile_planner.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace kiln::sharding {
namespace {

constexpr GraphShapeRange kDynamic{16, 4096, 16, 4096};

GraphShapeRange a_static_graph(int height, int width) {
  return {height, height, width, width};
}

TileRequest a_frame(int height, int width) {
  TileRequest request;
  request.frame_height = height;
  request.frame_width = width;
  request.rules.kind = TilingKind::kExact;
  request.rules.halo = 18;
  request.graphs = {kDynamic};
  request.activation_bytes = [](TileShape shape) {
    return static_cast<std::uint64_t>(shape.height) * static_cast<std::uint64_t>(shape.width) *
           1024;
  };
  return request;
}

TEST(TilePlannerTest, TakesTheWholeFrameWhereItFits) {
  const auto plan = plan_tiles(a_frame(180, 320));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->shape, (TileShape{180, 320}));
  ASSERT_EQ(plan->windows.size(), 1U);
  EXPECT_EQ(plan->windows[0], (TileWindow{0, 0, 0, 0, 0, 0, 180, 320}));
  EXPECT_EQ(plan->activation_bytes, 180U * 320U * 1024U);
}

TEST(TilePlannerTest, TilesWhereMemoryAsksForIt) {
  TileRequest request = a_frame(180, 320);
  request.memory_limit_bytes = 20U << 20U;
  const auto plan = plan_tiles(request);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_TRUE(plan->is_tiled());
  EXPECT_LE(plan->activation_bytes, request.memory_limit_bytes);
  ASSERT_FALSE(plan->rejected.empty());
  EXPECT_NE(plan->rejected[0].find("180x320: needs 57 MiB"), std::string::npos)
      << plan->rejected[0];
}

TEST(TilePlannerTest, AShapeOfAnEarlierPlanIsPlannedAgainWhateverElseWouldFit) {
  TileRequest request = a_frame(180, 320);
  request.memory_limit_bytes = 20U << 20U;
  const auto small = plan_tiles(request);
  ASSERT_TRUE(small && small->is_tiled());
  request.memory_limit_bytes = 0;
  ASSERT_FALSE(plan_tiles(request)->is_tiled());
  request.only = small->shape;
  const auto again = plan_tiles(request);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->shape, small->shape);
  EXPECT_EQ(again->windows, small->windows);
  EXPECT_EQ(again->activation_bytes, small->activation_bytes);
  request.only = TileShape{17, 19};  // which no search of this frame comes to
  EXPECT_FALSE(plan_tiles(request));
}

TEST(TilePlannerTest, TakesTheStaticShapeWithTheLeastWork) {
  TileRequest request = a_frame(180, 320);
  request.graphs = {a_static_graph(64, 64), a_static_graph(512, 512), a_static_graph(180, 320),
                    a_static_graph(128, 128)};
  const auto plan = plan_tiles(request);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->graph_index, 2U);
}

TEST(TilePlannerTest, PadsASmallFrameUpToAStaticTile) {
  TileRequest request = a_frame(50, 70);
  request.graphs = {a_static_graph(128, 128)};
  const auto plan = plan_tiles(request);
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->windows.size(), 1U);
  EXPECT_EQ(plan->windows[0], (TileWindow{0, 0, 78, 58, 0, 0, 50, 70}));
}

TEST(TilePlannerTest, PadsToTheSizeMultipleMinimumAndSquare) {
  TileRequest request = a_frame(45, 70);
  request.rules.size_multiple = 16;
  EXPECT_EQ(plan_tiles(request)->shape, (TileShape{48, 80}));
  request.rules.size_minimum = 64;
  EXPECT_EQ(plan_tiles(request)->shape, (TileShape{64, 80}));
  request.rules.size_square = true;
  EXPECT_EQ(plan_tiles(request)->shape, (TileShape{80, 80}));
}

TEST(TilePlannerTest, NeverTilesANetworkThatSeesWholeFrames) {
  TileRequest request = a_frame(180, 320);
  request.rules = {TilingKind::kWhole, 0, 8, 1, false};
  request.graphs = {a_static_graph(64, 64), a_static_graph(512, 512)};
  const auto refused = plan_tiles(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 65);
  EXPECT_NE(refused.error().message.find("--tile-shape 184x320"), std::string::npos)
      << refused.error().message;
  request.graphs.push_back(a_static_graph(184, 320));
  const auto plan = plan_tiles(request);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->graph_index, 2U);
  request.memory_limit_bytes = 1 << 20;
  const auto too_large = plan_tiles(request);
  ASSERT_FALSE(too_large);
  EXPECT_NE(too_large.error().message.find("cannot be tiled"), std::string::npos)
      << too_large.error().message;
}

TEST(TilePlannerTest, SaysWhichTileWouldFitWhereTheHaloEatsThoseThere) {
  TileRequest request = a_frame(360, 640);
  request.graphs = {a_static_graph(32, 32)};
  const auto refused = plan_tiles(request);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("32x32: too small for a halo of 18"), std::string::npos);
  EXPECT_NE(refused.error().message.find("--tile-shape 108x108"), std::string::npos)
      << refused.error().message;
}

TEST(TilePlannerTest, SaysHowMuchMemoryTheSmallestTileNeeds) {
  TileRequest request = a_frame(180, 320);
  request.graphs = {a_static_graph(64, 64), a_static_graph(128, 128)};
  request.memory_limit_bytes = 1 << 20;
  const auto refused = plan_tiles(request);
  ASSERT_FALSE(refused);
  EXPECT_NE(
      refused.error().message.find("64x64, needs 4 MiB for activations and 1 MiB are allowed"),
      std::string::npos)
      << refused.error().message;
}

TEST(TilePlannerTest, RefusesAManifestThatWouldDivideByZero) {
  TileRequest request = a_frame(180, 320);
  request.rules.size_multiple = 0;
  EXPECT_EQ(exit_code(plan_tiles(request).error()), 65);
  request = a_frame(180, 320);
  request.graphs = {GraphShapeRange{0, -1, 5, 5}};
  EXPECT_EQ(exit_code(plan_tiles(request).error()), 65);
  request = a_frame(0, 320);
  EXPECT_EQ(exit_code(plan_tiles(request).error()), 65);
}

TEST(TilePlannerTest, NamesTilingKindsAsTheManifestDoes) {
  for (const TilingKind kind : {TilingKind::kExact, TilingKind::kApproximate, TilingKind::kWhole}) {
    EXPECT_EQ(*tiling_kind_from_string(to_string(kind)), kind);
  }
  EXPECT_FALSE(tiling_kind_from_string("Exact"));
}

TEST(TilePlannerTest, ReflectsAtTheLastPixelAsOftenAsNeeded) {
  std::vector<int> indices;
  for (int i = 0; i < 9; ++i) indices.push_back(reflected_index(i, 3));
  EXPECT_EQ(indices, (std::vector<int>{0, 1, 2, 1, 0, 1, 2, 1, 0}));
  EXPECT_EQ(reflected_index(7, 1), 0);
}

// The rule of the header, pixel by pixel, along one axis of a window.
bool is_safe(int pixel, int origin, int tile, int padded, int halo) {
  const bool low = origin == 0 || pixel - origin >= halo;
  const bool high = origin + tile == padded || origin + tile - 1 - pixel >= halo;
  return low && high && pixel >= origin && pixel < origin + tile;
}

void check_plan(const TileRequest& request, const TilePlan& plan) {
  const TilingRules& rules = request.rules;
  const auto padded = [&](int size, int tile) {
    return std::max(tile,
                    (size + rules.size_multiple - 1) / rules.size_multiple * rules.size_multiple);
  };
  const int padded_height = padded(request.frame_height, plan.shape.height);
  const int padded_width = padded(request.frame_width, plan.shape.width);
  std::vector<int> kept(static_cast<std::size_t>(request.frame_height * request.frame_width));
  for (const TileWindow& window : plan.windows) {
    RC_ASSERT(window.y >= 0 && window.y + plan.shape.height <= padded_height);
    RC_ASSERT(window.x >= 0 && window.x + plan.shape.width <= padded_width);
    RC_ASSERT(window.y % rules.size_multiple == 0 && window.x % rules.size_multiple == 0);
    RC_ASSERT(window.pad_bottom ==
              std::max(window.y + plan.shape.height - request.frame_height, 0));
    RC_ASSERT(window.pad_right == std::max(window.x + plan.shape.width - request.frame_width, 0));
    RC_ASSERT(window.keep_height > 0 && window.keep_width > 0);
    for (int y = window.keep_y; y < window.keep_y + window.keep_height; ++y) {
      RC_ASSERT(is_safe(y, window.y, plan.shape.height, padded_height, rules.halo));
      for (int x = window.keep_x; x < window.keep_x + window.keep_width; ++x) {
        kept.at(static_cast<std::size_t>(y * request.frame_width + x)) += 1;
      }
    }
    for (int x = window.keep_x; x < window.keep_x + window.keep_width; ++x) {
      RC_ASSERT(is_safe(x, window.x, plan.shape.width, padded_width, rules.halo));
    }
  }
  RC_ASSERT(std::all_of(kept.begin(), kept.end(), [](int count) { return count == 1; }));
}

TileRequest any_request() {
  TileRequest request = a_frame(*rc::gen::inRange(1, 260), *rc::gen::inRange(1, 260));
  request.rules.kind = *rc::gen::element(TilingKind::kExact, TilingKind::kApproximate);
  request.rules.halo = *rc::gen::inRange(0, 40);
  request.rules.size_multiple = *rc::gen::element(1, 2, 4, 8, 12);
  request.rules.size_minimum = *rc::gen::inRange(1, 40);
  request.rules.size_square = *rc::gen::arbitrary<bool>();
  return request;
}

RC_GTEST_PROP(TilePlannerPropertyTest, KeepsEachPixelOnceAndFarFromInnerEdgesForDynamicGraphs, ()) {
  TileRequest request = any_request();
  request.memory_limit_bytes = static_cast<std::uint64_t>(*rc::gen::inRange(1, 64'000)) * 1024;
  const auto plan = plan_tiles(request);
  if (!plan) return;
  RC_ASSERT(plan->activation_bytes <= request.memory_limit_bytes);
  check_plan(request, *plan);
}

RC_GTEST_PROP(TilePlannerPropertyTest, KeepsEachPixelOnceAndFarFromInnerEdgesForStaticGraphs, ()) {
  TileRequest request = any_request();
  request.graphs.clear();
  for (int i = *rc::gen::inRange(1, 4); i > 0; --i) {
    const int m = request.rules.size_multiple;
    request.graphs.push_back(a_static_graph(m * *rc::gen::inRange(1, 200 / m + 2),
                                            m * *rc::gen::inRange(1, 200 / m + 2)));
  }
  const auto plan = plan_tiles(request);
  if (plan) check_plan(request, *plan);
}

RC_GTEST_PROP(TilePlannerPropertyTest, FindsATileWhereverOneOfTheSmallestFits, ()) {
  TileRequest request = any_request();
  request.rules.size_square = false;
  // Enough for a tile that is mostly halo: such a tile must be found.
  const auto side = [&](int frame) {
    const TilingRules& rules = request.rules;
    const int tile = std::max({4 * rules.halo + 4 * rules.size_multiple, rules.size_minimum, 16});
    const auto up = [&](int value) {
      return (value + rules.size_multiple - 1) / rules.size_multiple * rules.size_multiple;
    };
    return std::min(up(tile), std::max(up(frame), up(std::max(rules.size_minimum, 16))));
  };
  request.memory_limit_bytes =
      request.activation_bytes({side(request.frame_height), side(request.frame_width)});
  // A frame smaller than the graph's least size is another matter.
  RC_PRE(request.frame_height >= 16 && request.frame_width >= 16);
  const auto plan = plan_tiles(request);
  RC_ASSERT(plan.has_value());
}

}  // namespace
}  // namespace kiln::sharding
