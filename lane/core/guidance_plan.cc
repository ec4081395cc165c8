#include "lane/core/guidance_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kiln::lane {
namespace {

bool is_scale(double scale) { return std::isfinite(scale) && scale >= 0; }

Status check(const GuidanceSettings& settings) {
  constexpr ErrorCode kBad = ErrorCode::kInvalidArgument;
  const double low_noise_scale = settings.low_noise_scale.value_or(settings.scale);
  if (!is_scale(settings.scale) || !is_scale(low_noise_scale)) {
    return fail(make_error(kBad, "guidance of {}: it is a number from 0 (5 is usual, 1 is none)",
                           is_scale(settings.scale) ? low_noise_scale : settings.scale));
  }
  if (settings.low_noise_scale && !settings.boundary_ratio) {
    return fail(make_error(kBad, "guidance for the low-noise expert, but the model has one expert only"));
  }
  // diffusers runs no unconditional pass then, in any step, and says nothing.
  if (settings.scale <= 1 && low_noise_scale > 1) {
    return fail(make_error(kBad, "guidance of {} for the low-noise expert has no effect beside {} for the other: give "
                           "that more than 1", low_noise_scale, settings.scale));
  }
  if (settings.boundary_ratio && !(*settings.boundary_ratio >= 0 && *settings.boundary_ratio <= 1)) {
    return fail(make_error(kBad, "a boundary of {} between the experts: it is a share from 0 to 1", *settings.boundary_ratio));
  }
  return {};
}

std::string reason_of(const GuidancePlan& plan, const GuidanceSettings& settings, std::span<const float> timesteps) {
  std::string text = settings.boundary_ratio ? "" : "one expert";
  if (settings.boundary_ratio) {
    const double boundary = *settings.boundary_ratio * settings.train_timesteps;
    if (plan.switch_step) {
      const int step = *plan.switch_step;
      text = fmt::format("low-noise expert from step {} of {}: timestep {} is below the boundary {}", step + 1,
                         timesteps.size(), timesteps[static_cast<std::size_t>(step)], boundary);
    } else {
      const bool high = plan.steps.empty() || plan.steps.front().expert == Expert::kHighNoise;
      text = fmt::format("{} expert alone: no step's timestep is {} the boundary {}", high ? "high-noise" : "low-noise",
                         high ? "below" : "at or above", boundary);
    }
  }
  const auto unconditional = std::count_if(plan.steps.begin(), plan.steps.end(), [](const GuidedStep& step) {
    return step.unconditional;
  });
  return fmt::format("{}; {} of {} steps run without the prompt as well", text, unconditional, plan.steps.size());
}

}  // namespace

Result<GuidancePlan> plan_guidance(const GuidanceSettings& settings, std::span<const float> timesteps) {
  KILN_TRY(check(settings));
  const bool guided = settings.scale > 1;
  GuidancePlan plan;
  for (const float timestep : timesteps) {
    const bool high = !settings.boundary_ratio ||
                      static_cast<double>(timestep) >= *settings.boundary_ratio * settings.train_timesteps;
    GuidedStep step{high ? Expert::kHighNoise : Expert::kLowNoise, 1, false};
    if (guided) step.scale = high ? settings.scale : settings.low_noise_scale.value_or(settings.scale);
    step.unconditional = step.scale != 1;  // a scale of 1 gives back what the prompt alone gave
    if (!plan.steps.empty() && plan.steps.back().expert != step.expert) {
      plan.switch_step = static_cast<int>(plan.steps.size());
    }
    plan.passes += step.unconditional ? 2 : 1;
    plan.steps.push_back(step);
  }
  plan.reason = reason_of(plan, settings, timesteps);
  return plan;
}

}  // namespace kiln::lane
