#include "sharding/shot_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kiln::sharding {
namespace {

// What a side, or the number of frames, can be: first, first + step, … up to last.
struct Sizes {
  std::int64_t first = 1;
  std::int64_t step = 1;
  std::int64_t last = 1;

  [[nodiscard]] std::int64_t nearest(std::int64_t wanted) const {
    const std::int64_t within = std::clamp(wanted, first, last) - first;
    return std::min(first + (within + step / 2) / step * step, last);
  }
};

Sizes sides(std::int64_t stride, std::int64_t patch, std::int64_t grid_max) {
  return {stride * patch, stride * patch, stride * patch * grid_max};
}

// Latent frames are patch, 2 · patch, …; the first is one frame, the others stride frames each.
Sizes lengths(std::int64_t stride, std::int64_t patch, std::int64_t grid_max) {
  return {1 + (patch - 1) * stride, patch * stride, 1 + (patch * grid_max - 1) * stride};
}

template <typename... Arguments>
ShotFault fault(std::string key, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return {std::move(key), make_error(ErrorCode::kInvalidArgument, "{}", fmt::format(format, std::forward<Arguments>(arguments)...))};
}

bool is_strength(double value) { return std::isfinite(value) && value >= 0.0 && value <= kShotStrengthMax; }

}  // namespace

std::optional<ShotFault> find_shot_fault(const ShotWish& wish) {
  if (wish.size.width < 1 || wish.size.height < 1) return fault("size", "a size of {}x{} is none", wish.size.width, wish.size.height);
  if (wish.size.frames < 1) return fault("frames", "{} frames are none", wish.size.frames);
  if (wish.steps < 1 || wish.steps > kShotStepsMax) return fault("steps", "{} steps; 1 to {} are possible", wish.steps, kShotStepsMax);
  if (!is_strength(wish.guidance)) return fault("cfg", "a guidance of {}; 0 to {} are possible", wish.guidance, kShotStrengthMax);
  if (!is_strength(wish.low_noise_guidance)) {
    return fault("cfg_low_noise", "a guidance of {}; 0 to {} are possible", wish.low_noise_guidance, kShotStrengthMax);
  }
  if (wish.low_noise_guidance > 1.0 && wish.guidance <= 1.0) {
    return fault("cfg_low_noise", "guidance for the low-noise expert beside none for the other: cfg must be above 1 too");
  }
  if (!is_strength(wish.shift)) return fault("shift", "a shift of {}; above 0 and up to {} are possible", wish.shift, kShotStrengthMax);
  const bool known = wish.solver.empty() || wish.solver == "unipc" || wish.solver == "euler";
  if (!known) return fault("solver", "'{}' is none of unipc, euler", wish.solver);
  for (const auto& [key, bytes] : {std::pair{"prompt", wish.prompt_bytes}, std::pair{"negative_prompt", wish.negative_prompt_bytes}}) {
    if (bytes > kShotPromptBytesMax) return fault(key, "{} bytes; at most {} are possible", bytes, kShotPromptBytesMax);
  }
  return std::nullopt;
}

Result<LatentGrid> latent_grid_of(const GeneratorManifest& manifest, const ShotSize& size) {
  const std::int64_t space = manifest.stride_space;
  const std::int64_t time = manifest.stride_time;
  const std::vector<std::int64_t>& patch = manifest.patch;
  const Sizes widths = sides(space, patch[2], manifest.grid_max);
  const Sizes heights = sides(space, patch[1], manifest.grid_max);
  const Sizes frames = lengths(time, patch[0], manifest.grid_max);
  const ShotSize nearest{widths.nearest(size.width), heights.nearest(size.height), frames.nearest(size.frames)};
  if (nearest.width != size.width || nearest.height != size.height) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "a size of {}x{}: {} makes multiples of {}x{} up to {}x{}; the nearest is {}x{}",
                           size.width, size.height, manifest.name, widths.step, heights.step, widths.last, heights.last,
                           nearest.width, nearest.height));
  }
  if (nearest.frames != size.frames) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{} frames: {} makes {} and then {} more at a time, up to {}; the "
                           "nearest is {}", size.frames, manifest.name, frames.first, frames.step, frames.last,
                           nearest.frames));
  }
  LatentGrid out{1 + (size.frames - 1) / time, size.height / space, size.width / space, 0};
  out.tokens = out.frames / patch[0] * (out.height / patch[1]) * (out.width / patch[2]);
  return out;
}

Status check_shot(const GeneratorManifest& manifest, const ShotWish& wish) {
  if (auto found = find_shot_fault(wish)) return fail(std::move(found->error));
  KILN_TRY(latent_grid_of(manifest, wish.size));
  if (wish.low_noise_guidance > 0.0 && !manifest.boundary_ratio) {
    return fail(make_error(ErrorCode::kInvalidArgument, "cfg_low_noise is of a second expert, and {} has one network", manifest.name));
  }
  return {};
}

}  // namespace kiln::sharding
