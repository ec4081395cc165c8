// Runs a network over one frame: as a whole, or tile by tile into an assembled frame.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "lane/engine/network.h"
#include "sharding/tile_planner.h"

namespace kiln::lane {

// Height x width x 3 floats, rows without padding.
struct RgbFrame {
  int height = 0;
  int width = 0;
  std::vector<float> pixels;

  void resize(int new_height, int new_width) {
    height = new_height;
    width = new_width;
    pixels.resize(static_cast<std::size_t>(new_height) * static_cast<std::size_t>(new_width) * 3U);
  }
};

// Keeps its tile buffers between frames. One thread.
class TileRunner {
 public:
  TileRunner(Network& network, TileShape tile, std::vector<sharding::TileWindow> windows, int model_scale);

  // `frames`: as many as the network looks at, all of one size. `out` becomes frame size times scale.
  [[nodiscard]] Status run(Executor executor, std::span<const RgbFrame* const> frames, RgbFrame& out);

 private:
  void gather(const RgbFrame& frame, const sharding::TileWindow& window, std::span<float> into) const;
  void keep(const sharding::TileWindow& window, RgbFrame& out) const;

  Network& network_;
  TileShape tile_;
  std::vector<sharding::TileWindow> windows_;
  int scale_;
  std::vector<float> tile_in_;
  std::vector<float> tile_out_;
};

}  // namespace kiln::lane
