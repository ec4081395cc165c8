// Tiny Wan models: their packages, what diffusers makes of them, and Kiln's settings for the same.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lane/pipelines/clip_generator.h"
#include "tests/lane/generate/golden.h"

namespace kiln::lane {

inline constexpr double kWanTolerance = 1e-4;             // of the largest number expected
inline constexpr double kWanMistake = 10 * kWanTolerance;  // so much at least comes of a mistake

// The CPU, or what KILN_WAN_DEVICE says: the same tests on a card.
[[nodiscard]] std::string wan_device();

// By make_wan.py.
[[nodiscard]] const Golden& wan_golden();
// On that device, as all that is compared.
[[nodiscard]] at::Tensor wan_tensor(const nlohmann::json& one, const std::string& name);

[[nodiscard]] std::string name_of(const nlohmann::json& one);

// Of relative errors, which are printed too. A mistake that leaves nothing to compare is none that was seen.
void expect_same(double error, const std::string& what = {});
void expect_mistake(double error, const std::string& what = {});

// The package of a case.
[[nodiscard]] std::string package_folder(const nlohmann::json& one);
[[nodiscard]] GeneratorPackage open_package(const std::string& folder);

[[nodiscard]] GenerateSettings settings_of_clip(const nlohmann::json& one);
[[nodiscard]] PromptTokens tokens_of(const GeneratorPackage& package, const std::string& text, int length);

struct ClipTokens {
  PromptTokens prompt;
  PromptTokens negative;
};
[[nodiscard]] ClipTokens tokens_of_clip(const GeneratorPackage& package, const nlohmann::json& one);

// A copy of a package, of links to its files: `change` is done to its manifest's text.
void link_package(const std::string& from, const std::string& to, const std::function<void(std::string&)>& change = {});

// What diffusers calls "pt": 1 x frames x 3 x height x width within 0..1.
[[nodiscard]] at::Tensor as_pictures(const std::vector<at::Tensor>& frames);

}  // namespace kiln::lane
