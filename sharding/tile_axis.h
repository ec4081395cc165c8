// One axis of the padded frame: how many windows, where they start and what each keeps.
#pragma once

#include <vector>

#include "sharding/tile_planner.h"

namespace kiln::sharding {

struct AxisWindow {
  int origin = 0;
  int keep_first = 0;
  int keep_last = 0;
};

[[nodiscard]] int rounded_up(int value, int multiple);

// From one window to the next: they overlap by at least both halos, and origins stay on the
// network's grid. Not above 0 where the tile is all halo.
[[nodiscard]] int axis_stride(int tile, const TilingRules& rules);

// More than kTilesPerAxisMax where the tile is all halo.
[[nodiscard]] int axis_window_count(int size, int tile, const TilingRules& rules);
[[nodiscard]] std::vector<AxisWindow> axis_windows(int size, int tile, const TilingRules& rules);

}  // namespace kiln::sharding
