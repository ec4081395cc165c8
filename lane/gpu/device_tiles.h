// Runs a network over one frame on its device: as a whole, or tile by tile into an assembled frame. What TileRunner does
// with pixels in host memory.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/engine/network.h"
#include "sharding/tile_planner.h"

namespace kiln::lane {

// Keeps the assembled frame and what mirrors edges between frames. One thread, whose current stream takes the work.
class DeviceTiles {
 public:
  // `network` is borrowed and outlives it.
  DeviceTiles(Network& network, TileShape tile, std::vector<sharding::TileWindow> windows, int model_scale);
  ~DeviceTiles();
  DeviceTiles(const DeviceTiles&) = delete;
  DeviceTiles& operator=(const DeviceTiles&) = delete;

  // `frames`: as many as the network looks at, each 1 x 3 x height x width in channels_last. `out`: 1 x 3 x
  // height*scale x width*scale, with the strides that the network gives; valid until the next run.
  [[nodiscard]] Status run(Executor executor, std::span<const at::Tensor> frames, at::Tensor& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiln::lane
