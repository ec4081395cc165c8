// Which network renders each step of a generated clip, and how strongly it is guided. Pure; the rules are WanPipeline's.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

// Wan 2.2's two networks; models with one have the first alone.
enum class Expert { kHighNoise, kLowNoise };

struct GuidanceSettings {
  double scale = 5.0;  // 1 or less: no guidance
  std::optional<double> low_noise_scale = std::nullopt;  // of the low-noise expert; default: the same
  // Share of the training's timesteps below which the low-noise expert works; default: there is none.
  std::optional<double> boundary_ratio = std::nullopt;
  int train_timesteps = 1000;
};

struct GuidedStep {
  Expert expert = Expert::kHighNoise;
  double scale = 1;
  bool unconditional = false;  // the network also runs with the negative prompt
  bool operator==(const GuidedStep&) const = default;
};

struct GuidancePlan {
  std::vector<GuidedStep> steps;
  // The first step whose expert is another than that of the step before: its weights are to be there by then.
  std::optional<int> switch_step;
  int passes = 0;  // runs of a network, all steps together
  std::string reason;
};

// `timesteps` of the steps that are run, falling.
[[nodiscard]] Result<GuidancePlan> plan_guidance(const GuidanceSettings& settings, std::span<const float> timesteps);

}  // namespace kiln::lane
