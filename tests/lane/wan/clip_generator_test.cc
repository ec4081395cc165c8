// From a prompt to frames, as WanPipeline does it: Wan 2.1 and 2.2, both solvers, with guidance and without.
#include "lane/pipelines/clip_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "tests/base/temp_folder.h"
#include "tests/lane/wan/wan_golden.h"

namespace kiln::lane {
namespace {

struct MadeClip {
  Status status;
  std::vector<at::Tensor> latents;  // after each step
  std::vector<at::Tensor> frames;   // of each latent frame
  std::vector<GenerateProgress> progress;
};

MadeClip make_clip(const GeneratorPackage& package, const GenerateSettings& settings, const ClipTokens& tokens) {
  MadeClip made;
  GenerateCallbacks callbacks;
  callbacks.on_progress = [&](const GenerateProgress& progress) { made.progress.push_back(progress); };
  callbacks.on_latents = [&](int, const at::Tensor& latents) -> Status {
    made.latents.push_back(latents);
    return {};
  };
  const auto sink = [&](const at::Tensor& frames) -> Status {
    made.frames.push_back(frames);
    return {};
  };
  made.status = generate_clip(package, settings, tokens.prompt, tokens.negative, sink, callbacks);
  return made;
}

// The largest of all steps.
double step_error(const MadeClip& made, const nlohmann::json& one) {
  EXPECT_TRUE(made.status) << made.status.error().message;
  const at::Tensor expected = wan_tensor(one, "latents");
  EXPECT_EQ(static_cast<std::int64_t>(made.latents.size()), expected.size(0));
  double worst = 0;
  for (std::size_t i = 0; i < made.latents.size(); ++i) {
    worst = std::max(worst, relative_error(made.latents[i], expected.narrow(0, static_cast<std::int64_t>(i), 1)));
  }
  return worst;
}


TEST(WanClipTest, EveryStepAndEveryFrameIsThatOfWanPipeline) {
  ASSERT_EQ(wan_golden().cases["clips"].size(), 8U);
  for (const auto& one : wan_golden().cases["clips"]) {
    const GeneratorPackage package = open_package(package_folder(one));
    const MadeClip made = make_clip(package, settings_of_clip(one), tokens_of_clip(package, one));
    ASSERT_TRUE(made.status) << made.status.error().message;
    expect_same(step_error(made, one), name_of(one));
    expect_same(relative_error(as_pictures(made.frames), wan_tensor(one, "whole")), name_of(one));
    GenerateSettings in_tiles = settings_of_clip(one);
    in_tiles.tiles = DecodeTiles{wan_golden().cases["tiles"]["size"], wan_golden().cases["tiles"]["stride"]};
    const MadeClip tiled = make_clip(package, in_tiles, tokens_of_clip(package, one));
    ASSERT_TRUE(tiled.status) << tiled.status.error().message;
    expect_same(relative_error(as_pictures(tiled.frames), wan_tensor(one, "tiled")), name_of(one));
  }
}

const nlohmann::json& clip(const std::string& package, const std::string& solver, double scale) {
  for (const auto& one : wan_golden().cases["clips"]) {
    if (one["package"] == package && one["solver"] == solver && one["scale"] == scale) return one;
  }
  return wan_golden().cases["clips"].at(99);
}

// Of the latents after each step of a clip whose settings, tokens or package are not quite those of the case.
double mistaken_error(const nlohmann::json& one, const std::function<void(GenerateSettings&, ClipTokens&)>& change) {
  const GeneratorPackage package = open_package(package_folder(one));
  GenerateSettings settings = settings_of_clip(one);
  ClipTokens tokens = tokens_of_clip(package, one);
  change(settings, tokens);
  return step_error(make_clip(package, settings, tokens), one);
}

double mean_error(const at::Tensor& found, const at::Tensor& expected) {
  return found.sub(expected).norm().div(expected.norm()).item<double>();
}

TEST(WanClipTest, HalfPrecisionIsAsNearToSinglePrecisionAsDiffusersIs) {
  const auto& half = wan_golden().cases["half"];
  const GeneratorPackage package = open_package(package_folder(half));
  GenerateSettings settings = settings_of_clip(half);
  settings.precision.text = settings.precision.transformer = sharding::GraphDtype::kBfloat16;
  const MadeClip made = make_clip(package, settings, tokens_of_clip(package, half));
  ASSERT_TRUE(made.status) << made.status.error().message;
  const auto last = [](const at::Tensor& latents) { return latents.narrow(0, latents.size(0) - 1, 1); };
  const at::Tensor exact = last(wan_golden().tensor({{"name", half["of"]}}, "latents"));
  const double ours = mean_error(made.latents.back().cpu(), exact);
  const double theirs = mean_error(last(wan_golden().tensor(half, "latents")), exact);
  fmt::print(stderr, "bfloat16: {:.3f}, of diffusers {:.3f}\n", ours, theirs);
  EXPECT_GT(theirs, kWanMistake);
  EXPECT_LE(ours, 1.25 * theirs);
}

TEST(WanClipTest, OneTokenMoreIsSeen) {
  for (const auto& one : wan_golden().cases["clips"]) {
    expect_mistake(mistaken_error(one, [](GenerateSettings&, ClipTokens& tokens) { ++tokens.prompt.used; }), name_of(one));
  }
}

TEST(WanClipTest, AnotherGuidanceOrNegativePromptIsSeen) {
  const auto& one = clip("wan22", "unipc", 6);
  expect_mistake(mistaken_error(one, [](GenerateSettings& settings, ClipTokens&) { settings.guidance.low_noise_scale.reset(); }));
  expect_mistake(mistaken_error(one, [](GenerateSettings&, ClipTokens& tokens) { tokens.negative = tokens.prompt; }));
}

// The last latents, from those that `one` starts with, by the steps that `settings` name.
Result<at::Tensor> sampled(const nlohmann::json& one, const GenerateSettings& settings, const std::optional<at::Tensor>& start) {
  const GeneratorPackage package = open_package(package_folder(one));
  const ClipTokens tokens = tokens_of_clip(package, one);
  KILN_TRY_ASSIGN(const PromptStates states, encode_prompts(package, settings, tokens.prompt, tokens.negative));
  return sample_latents(package, settings, states, {}, start);
}

at::Tensor latents_after(const nlohmann::json& one, int step) { return wan_tensor(one, "latents").narrow(0, step - 1, 1); }

TEST(WanClipTest, AScheduleThatIsOffByOneStepIsSeen) {
  for (const auto& one : wan_golden().cases["clips"]) {
    GenerateSettings settings = settings_of_clip(one);
    settings.flow.first_step = 1;  // of the noise that step 0 starts from
    const auto found = sampled(one, settings, std::nullopt);
    ASSERT_TRUE(found) << found.error().message;
    expect_mistake(relative_error(*found, latents_after(one, one["steps"])), name_of(one));
  }
}

TEST(WanClipTest, StepsCanBeRunInParts) {
  for (const std::string package : {"wan21", "wan22"}) {
    const auto& one = clip(package, "euler", 6);
    GenerateSettings settings = settings_of_clip(one);
    settings.flow.last_step = 3;
    const auto first = sampled(one, settings, std::nullopt);
    ASSERT_TRUE(first) << first.error().message;
    expect_same(relative_error(*first, latents_after(one, 3)));
    settings.flow.first_step = 3;
    settings.flow.last_step = -1;
    const auto last = sampled(one, settings, *first);
    ASSERT_TRUE(last) << last.error().message;
    expect_same(relative_error(*last, latents_after(one, 4)));
  }
}

TEST(WanClipTest, SwappedExpertsAreSeen) {
  const test::TempFolder folder;
  const auto& one = clip("wan22", "unipc", 6);
  link_package(package_folder(one), folder.path(), [](std::string& text) {
    const std::string first = "name = \"transformer\"", second = "name = \"transformer_2\"";
    text.replace(text.find(second), second.size(), "name = \"swapped\"");
    text.replace(text.find(first), first.size(), second);
    text.replace(text.find("name = \"swapped\""), 16, first);
  });
  const GeneratorPackage package = open_package(folder.path());
  expect_mistake(step_error(make_clip(package, settings_of_clip(one), tokens_of_clip(package, one)), one));
}

TEST(WanClipTest, APackageOfSymbolicLinksGivesTheSame) {
  const test::TempFolder folder;
  const auto& one = clip("wan21", "euler", 1);
  link_package(package_folder(one), folder.path());
  const GeneratorPackage package = open_package(folder.path());
  expect_same(step_error(make_clip(package, settings_of_clip(one), tokens_of_clip(package, one)), one));
}

TEST(WanClipTest, ProgressSaysStageStepAndSeconds) {
  const auto& one = clip("wan22", "unipc", 6);
  const GeneratorPackage package = open_package(package_folder(one));
  const MadeClip made = make_clip(package, settings_of_clip(one), tokens_of_clip(package, one));
  std::vector<std::tuple<GenerateStage, int, int>> told;
  for (const GenerateProgress& progress : made.progress) {
    told.emplace_back(progress.stage, progress.done, progress.total);
    EXPECT_GT(progress.seconds, 0);
  }
  using enum GenerateStage;
  EXPECT_EQ(told, (std::vector<std::tuple<GenerateStage, int, int>>{
                      {kText, 1, 1}, {kSteps, 1, 4}, {kSteps, 2, 4}, {kSteps, 3, 4}, {kSteps, 4, 4},
                      {kDecode, 1, 3}, {kDecode, 2, 3}, {kDecode, 3, 3}}));
}

TEST(WanClipTest, AStopEndsEveryStage) {
  const auto& one = clip("wan21", "unipc", 1);
  const GeneratorPackage package = open_package(package_folder(one));
  const ClipTokens tokens = tokens_of_clip(package, one);
  for (int asked = 0; asked < 12; ++asked) {  // twice for the text, twice and once more for a step, …
    int left = asked;
    GenerateCallbacks callbacks;
    callbacks.stop = [&left] { return left-- == 0; };
    const Status status = generate_clip(package, settings_of_clip(one), tokens.prompt, tokens.negative,
                                        [](const at::Tensor&) { return Status(); }, callbacks);
    ASSERT_FALSE(status) << asked;
    EXPECT_EQ(status.error().code, ErrorCode::kCancelled) << asked;
  }
}

// The same package, with numbers of one file that are none.
void spoil(const std::string& folder, const std::string& file) {
  namespace fs = std::filesystem;
  const std::string path = folder + "/" + file;
  const fs::path whole = fs::canonical(path);
  fs::remove(path);
  fs::copy_file(whole, path);
  fs::permissions(path, fs::perms::owner_all);
  std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
  const float none = NAN;
  out.seekp(-static_cast<std::streamoff>(sizeof(none)), std::ios::end);
  out.write(reinterpret_cast<const char*>(&none), sizeof(none));
}

TEST(WanClipTest, WeightsThatAreNoNumbersAreAnErrorThatNamesTheStep) {
  const auto& one = clip("wan22", "unipc", 6);
  const test::TempFolder folder;
  link_package(package_folder(one), folder.path());
  spoil(folder.path(), "weights/transformer_2/diffusion_pytorch_model-00008-of-00008.safetensors");
  const GeneratorPackage package = open_package(folder.path());
  const MadeClip made = make_clip(package, settings_of_clip(one), tokens_of_clip(package, one));
  ASSERT_FALSE(made.status);
  EXPECT_EQ(made.status.error().message, "step 3 of 4: the latents are no numbers any more (NaN or infinite); the weights hold "
                                         "such numbers, or float32 is too narrow for the model");
  EXPECT_EQ(made.latents.size(), 2U);
}

TEST(WanClipTest, WhatThePackageCannotDoIsRefusedBeforeAnythingIsLoaded) {
  const auto& one = clip("wan21", "unipc", 6);
  const GeneratorPackage package = open_package(package_folder(one));
  const ClipTokens tokens = tokens_of_clip(package, one);
  GenerateSettings settings = settings_of_clip(one);
  settings.size.width = 90;
  auto states = encode_prompts(package, settings, tokens.prompt, tokens.negative);
  ASSERT_FALSE(states);
  EXPECT_NE(states.error().message.find("the nearest is 96x48"), std::string::npos) << states.error().message;
  settings = settings_of_clip(one);
  settings.precision.text = sharding::GraphDtype::kBfloat16;
  states = encode_prompts(package, settings, tokens.prompt, tokens.negative);
  ASSERT_FALSE(states);
  EXPECT_NE(states.error().message.find("no graph of text_embedding in bfloat16, but in float32"), std::string::npos)
      << states.error().message;
}

}  // namespace
}  // namespace kiln::lane
