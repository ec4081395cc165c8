// How large a generated clip is in latents. Pure. What a model can make at all is told in sharding/shot_rules.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sharding/package/generator_manifest.h"
#include "sharding/shot_rules.h"

namespace kiln::lane {

using ClipSize = sharding::ShotSize;

struct LatentSize {
  std::int64_t channels = 16;
  std::int64_t frames = 1;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

// Error, with the nearest size that works, where the model cannot make this one.
[[nodiscard]] Result<LatentSize> latent_size_of(const sharding::GeneratorManifest& manifest, const ClipSize& size);

}  // namespace kiln::lane
