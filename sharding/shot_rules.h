// What a text-to-video model can make: which sizes, lengths and settings of a shot work, and what the nearest is where one
// does not. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "sharding/package/generator_manifest.h"

namespace kiln::sharding {

inline constexpr int kShotStepsMax = 1'000;            // timesteps of the training
inline constexpr double kShotStrengthMax = 1'000.0;    // of guidance and shift
inline constexpr std::size_t kShotPromptBytesMax = 16U << 10U;

struct ShotSize {
  std::int64_t width = 832;
  std::int64_t height = 480;
  std::int64_t frames = 81;
  bool operator==(const ShotSize&) const = default;
};

struct ShotWish {
  ShotSize size;
  int steps = 50;
  double guidance = 5.0;            // 1 or less: without
  double low_noise_guidance = 0.0;  // of the second of two experts; 0: the same
  double shift = 0.0;               // 0: the model's
  std::string solver;               // "unipc", "euler"; empty: the model's
  std::size_t prompt_bytes = 0;
  std::size_t negative_prompt_bytes = 0;
};
// Of whatever holds these under the same names (net::Shot).
template <typename Shot>
[[nodiscard]] ShotWish shot_wish_of(const Shot& shot) {
  return {{shot.width, shot.height, shot.frames}, shot.steps, shot.guidance, shot.low_noise_guidance, shot.shift, shot.solver,
          shot.prompt.size(), shot.negative_prompt.size()};
}

// In latents: what the transformer works on.
struct LatentGrid {
  std::int64_t frames = 1;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t tokens = 0;  // of the transformer
};

struct ShotFault {
  std::string key;  // of a job file
  Error error;
};
// What no model can make, whatever it is.
[[nodiscard]] std::optional<ShotFault> find_shot_fault(const ShotWish& wish);

// Error, with the nearest that works, where this model cannot make that size.
[[nodiscard]] Result<LatentGrid> latent_grid_of(const GeneratorManifest& manifest, const ShotSize& size);
// All of a shot.
[[nodiscard]] Status check_shot(const GeneratorManifest& manifest, const ShotWish& wish);

}  // namespace kiln::sharding
