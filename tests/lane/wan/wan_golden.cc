#include "tests/lane/wan/wan_golden.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>

#include "lane/engine/torch_types.h"

namespace kiln::lane {

std::string wan_device() {
  const char* given = std::getenv("KILN_WAN_DEVICE");
  const std::string device = given == nullptr ? "cpu" : given;
  at::globalContext().setAllowTF32CuDNN(false);  // the tolerance is float32's
  return device;
}

const Golden& wan_golden() {
  at::set_num_threads(1);  // as make_wan.py: networks as small as these are not for several
  static const Golden kGolden = load_golden("wan", "tests/lane/wan/make_wan.py",
                                            {"tests/lane/wan", "tests/lane/text", "tests/importer", "python/kiln_import",
                                             "python/kiln_import/wan"});
  return kGolden;
}

at::Tensor wan_tensor(const nlohmann::json& one, const std::string& name) {
  const auto device = open_device(wan_device());
  EXPECT_TRUE(device) << device.error().message;
  return wan_golden().tensor(one, name).to(*device);
}

std::string name_of(const nlohmann::json& one) { return one["name"]; }

void expect_same(double error, const std::string& what) {
  fmt::print(stderr, "{} same within {:.1e}\n", what, error);
  EXPECT_LE(error, kWanTolerance) << what;
}

void expect_mistake(double error, const std::string& what) {
  fmt::print(stderr, "{} mistake of {:.1e}\n", what, error);
  EXPECT_GT(error, kWanMistake) << what;
  EXPECT_TRUE(std::isfinite(error)) << what;
}

std::string package_folder(const nlohmann::json& one) {
  return wan_golden().folder + "/" + one["package"].get<std::string>();
}

GeneratorPackage open_package(const std::string& folder) {
  auto package = GeneratorPackage::open(files_of_folder(folder));
  EXPECT_TRUE(package) << package.error().message;
  return std::move(*package);
}

GenerateSettings settings_of_clip(const nlohmann::json& one) {
  GenerateSettings settings;
  settings.size = {one["width"], one["height"], one["frames"]};
  settings.flow.solver = one["solver"] == "euler" ? FlowSolver::kEuler : FlowSolver::kUniPc;
  settings.flow.steps = one["steps"];
  settings.guidance.scale = one["scale"];
  if (!one["low_noise_scale"].is_null()) settings.guidance.low_noise_scale = one["low_noise_scale"].get<double>();
  settings.seed = one["seed"];
  settings.device = wan_device();
  return settings;
}

PromptTokens tokens_of(const GeneratorPackage& package, const std::string& text, int length) {
  const auto model = package.tokenizer();
  EXPECT_TRUE(model) << model.error().message;
  const auto tokenizer = Umt5Tokenizer::load(std::as_bytes(std::span(model->data(), model->size())));
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  auto tokens = tokenizer->encode(text, length);
  EXPECT_TRUE(tokens) << tokens.error().message;
  return std::move(*tokens);
}

ClipTokens tokens_of_clip(const GeneratorPackage& package, const nlohmann::json& one) {
  return {tokens_of(package, one["prompt"], one["tokens"]), tokens_of(package, one["negative"], one["tokens"])};
}

void link_package(const std::string& from, const std::string& to, const std::function<void(std::string&)>& change) {
  namespace fs = std::filesystem;
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = to / fs::relative(entry.path(), from);
    if (entry.is_directory()) fs::create_directories(target);
    else if (target.filename() != "manifest.toml") fs::create_symlink(entry.path(), target);
  }
  std::string text = read_file(from + "/manifest.toml", sharding::kManifestBytesMax).value();
  if (change) change(text);
  std::ofstream(to + "/manifest.toml") << text;
}

at::Tensor as_pictures(const std::vector<at::Tensor>& frames) {
  return at::cat(frames, 2).permute({0, 2, 1, 3, 4}).mul(0.5).add(0.5);
}

}  // namespace kiln::lane
