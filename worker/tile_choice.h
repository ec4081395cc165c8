// Which tiles a clip can be rendered in, for each amount of memory that lanes have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/farm_tasks.h"
#include "worker/model_package.h"

namespace kiln::worker {

struct PictureSize {
  int height = 0;
  int width = 0;
  std::uint64_t planes_bytes = 0;  // of one frame, as its decoder gives or its encoder takes it
};

struct TileQuestion {
  PictureSize frame;
  PictureSize output;
  std::vector<std::uint64_t> host_budgets_bytes;  // of lanes on processors: for the activations of a run
  std::vector<std::uint64_t> card_budgets_bytes;  // of lanes on cards: for all that stands on the card but the process itself
};

struct TileChoices {
  // Dtype by dtype; for hosts, then for cards, each by rising budget; equal shapes once, with the least budget that gave them.
  std::vector<net::TileChoice> tiles;
  std::string reason;  // why there is none
};

// The cheapest tiles of a frame for each budget, in each dtype that the package is open for; processors compute in float32 alone. On a
// card the rings, weights and what is resampled count as well, as LibTorch's allocator has them (sharding/card_memory.h).
[[nodiscard]] TileChoices choose_tiles(const ModelPackage& package, const TileQuestion& question);

}  // namespace kiln::worker
