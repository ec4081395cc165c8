#include "sharding/shot_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "sharding/shot_memory.h"
#include "tests/sharding/generator_sample.h"

namespace kiln::sharding {
namespace {

GeneratorManifest manifest(bool two_experts = false) {
  auto parsed = parse_generator_manifest(test::sample_generator({"float32", "bfloat16"}, two_experts), "manifest.toml");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return *parsed;
}

struct FaultCase {
  std::string name;
  std::string key;
  std::function<void(ShotWish&)> change;
  std::string says;
};
class ShotFaultTest : public ::testing::TestWithParam<FaultCase> {};

TEST_P(ShotFaultTest, NamesTheKey) {
  ShotWish wish;
  ASSERT_FALSE(find_shot_fault(wish));
  GetParam().change(wish);
  const auto fault = find_shot_fault(wish);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->key, GetParam().key);
  EXPECT_NE(fault->error.message.find(GetParam().says), std::string::npos) << fault->error.message;
  EXPECT_FALSE(check_shot(manifest(true), wish));
}

INSTANTIATE_TEST_SUITE_P(
    All, ShotFaultTest,
    ::testing::Values(FaultCase{"NoWidth", "size", [](auto& w) { w.size.width = 0; }, "0x480"},
                      FaultCase{"NoFrames", "frames", [](auto& w) { w.size.frames = 0; }, "0 frames"},
                      FaultCase{"NoSteps", "steps", [](auto& w) { w.steps = 0; }, "1 to 1000"},
                      FaultCase{"ManySteps", "steps", [](auto& w) { w.steps = 1001; }, "1001 steps"},
                      FaultCase{"NegativeGuidance", "cfg", [](auto& w) { w.guidance = -1; }, "0 to 1000"},
                      FaultCase{"NoNumber", "cfg", [](auto& w) { w.guidance = std::nan(""); }, "nan"},
                      FaultCase{"Infinite", "cfg_low_noise", [](auto& w) { w.low_noise_guidance = INFINITY; }, "inf"},
                      FaultCase{"OneGuidedExpert", "cfg_low_noise",
                                [](auto& w) { w.guidance = 1, w.low_noise_guidance = 3; }, "cfg must be above 1"},
                      FaultCase{"NegativeShift", "shift", [](auto& w) { w.shift = -0.5; }, "shift of -0.5"},
                      FaultCase{"OtherSolver", "solver", [](auto& w) { w.solver = "dpm"; }, "unipc, euler"},
                      FaultCase{"LongPrompt", "prompt", [](auto& w) { w.prompt_bytes = kShotPromptBytesMax + 1; }, "16384"},
                      FaultCase{"LongNegativePrompt", "negative_prompt",
                                [](auto& w) { w.negative_prompt_bytes = kShotPromptBytesMax + 1; }, "at most"}),
    [](const auto& one) { return one.param.name; });

TEST(ShotRulesTest, AnEmptyPromptAndNoGuidanceAreLegal) {
  ShotWish wish;
  wish.prompt_bytes = 0;
  wish.guidance = 0.0;
  EXPECT_TRUE(check_shot(manifest(), wish));
}

TEST(ShotRulesTest, LatentsOfASizeThatWorks) {
  const auto grid = latent_grid_of(manifest(), {832, 480, 81});
  ASSERT_TRUE(grid) << grid.error().message;
  EXPECT_EQ(grid->frames, 21);
  EXPECT_EQ(grid->height, 60);
  EXPECT_EQ(grid->width, 104);
  EXPECT_EQ(grid->tokens, 32'760);
  EXPECT_EQ(latent_grid_of(manifest(), {16, 16, 1})->tokens, 1);
}

TEST(ShotRulesTest, OtherSizesAreRefusedWithTheNearestThatWorks) {
  const auto said = [](ShotSize size) {
    const auto grid = latent_grid_of(manifest(), size);
    return grid ? std::string("works") : grid.error().message;
  };
  EXPECT_NE(said({854, 480, 81}).find("the nearest is 848x480"), std::string::npos) << said({854, 480, 81});
  EXPECT_NE(said({832, 479, 81}).find("the nearest is 832x480"), std::string::npos);
  EXPECT_NE(said({8, 7, 81}).find("the nearest is 16x16"), std::string::npos);
  EXPECT_NE(said({832, 480, 80}).find("the nearest is 81"), std::string::npos) << said({832, 480, 80});
  EXPECT_NE(said({832, 480, 2}).find("the nearest is 1"), std::string::npos);
  EXPECT_NE(said({std::int64_t{1} << 20, 480, 81}).find("the nearest is 16384x480"), std::string::npos);
  EXPECT_NE(said({832, 480, std::numeric_limits<std::int64_t>::max()}).find("the nearest is 4093"), std::string::npos);
}

TEST(ShotRulesTest, GuidanceOfASecondExpertNeedsOne) {
  ShotWish wish;
  wish.low_noise_guidance = 3.0;
  EXPECT_TRUE(check_shot(manifest(true), wish));
  const auto status = check_shot(manifest(false), wish);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("sample has one network"), std::string::npos);
}

TEST(ShotMemoryTest, WeightsAreCountedInTheirPrecision) {
  EXPECT_EQ(component_weights_bytes(manifest(), "block", GraphDtype::kFloat32), 12U * 4 + 3 * 4);
  EXPECT_EQ(component_weights_bytes(manifest(), "block", GraphDtype::kBfloat16), 12U * 2 + 3 * 4);
  EXPECT_EQ(dtypes_of(manifest()), (std::vector{GraphDtype::kFloat32, GraphDtype::kBfloat16}));
}

TEST(ShotMemoryTest, APackageWithoutAPartIsRefused) {
  const auto need = shot_need(manifest(), GraphDtype::kFloat32, {832, 480, 81},
                              [](std::string_view, GraphDtype) -> Result<const ExportedGraph*> { return nullptr; });
  ASSERT_FALSE(need);
  EXPECT_NE(need.error().message.find("no component text_embedding"), std::string::npos) << need.error().message;
}

}  // namespace
}  // namespace kiln::sharding
