// The noise that a generated clip starts from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/result.h"
#include "lane/core/clip_size.h"

namespace kiln::lane {

// 1 x channels x frames x height x width, float32, made on the CPU wherever it is used, so that a seed means one clip: that
// which diffusers starts from with torch.Generator("cpu").manual_seed(seed). Of the seed the lower 32 bits count, as there.
[[nodiscard]] Result<at::Tensor> initial_noise(std::uint64_t seed, const LatentSize& size);

}  // namespace kiln::lane
