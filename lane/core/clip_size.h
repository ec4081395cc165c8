// How large a generated clip is, in pixels and in latents. Pure.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sharding/package/generator_manifest.h"

namespace kiln::lane {

struct ClipSize {
  std::int64_t width = 832;
  std::int64_t height = 480;
  std::int64_t frames = 81;
};

struct LatentSize {
  std::int64_t channels = 16;
  std::int64_t frames = 1;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

// Error, with the nearest size that works, where the model cannot make this one.
[[nodiscard]] Result<LatentSize> latent_size_of(const sharding::GeneratorManifest& manifest, const ClipSize& size);

}  // namespace kiln::lane
