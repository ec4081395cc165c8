#include "sharding/tile_axis.h"

#include <algorithm>

namespace kiln::sharding {

int rounded_up(int value, int multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int axis_stride(int tile, const TilingRules& rules) {
  return tile - rounded_up(2 * rules.halo, rules.size_multiple);
}

int axis_window_count(int size, int tile, const TilingRules& rules) {
  const int padded = std::max(tile, rounded_up(size, rules.size_multiple));
  if (padded == tile) return 1;
  const int stride = axis_stride(tile, rules);
  return stride <= 0 ? kTilesPerAxisMax + 1 : 1 + (padded - tile + stride - 1) / stride;
}

std::vector<AxisWindow> axis_windows(int size, int tile, const TilingRules& rules) {
  const int padded = std::max(tile, rounded_up(size, rules.size_multiple));
  const int count = axis_window_count(size, tile, rules);
  std::vector<AxisWindow> windows(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    // The last window is moved back so that it ends with the padded frame.
    windows[static_cast<std::size_t>(i)].origin =
        std::min(i * axis_stride(tile, rules), padded - tile);
  }
  for (std::size_t i = 0; i + 1 < windows.size(); ++i) {
    // The middle of the overlap is as far from both edges as can be.
    const int seam = (windows[i].origin + tile + windows[i + 1].origin) / 2;
    windows[i].keep_last = seam;
    windows[i + 1].keep_first = seam;
  }
  windows.back().keep_last = size;
  return windows;
}

std::vector<TileWindow> tile_windows(int frame_height, int frame_width, TileShape shape,
                                     const TilingRules& rules) {
  std::vector<TileWindow> windows;
  const std::vector<AxisWindow> columns = axis_windows(frame_width, shape.width, rules);
  for (const AxisWindow& row : axis_windows(frame_height, shape.height, rules)) {
    for (const AxisWindow& column : columns) {
      TileWindow window;
      window.y = row.origin;
      window.x = column.origin;
      window.pad_bottom = std::max(row.origin + shape.height - frame_height, 0);
      window.pad_right = std::max(column.origin + shape.width - frame_width, 0);
      window.keep_y = row.keep_first;
      window.keep_x = column.keep_first;
      window.keep_height = row.keep_last - row.keep_first;
      window.keep_width = column.keep_last - column.keep_first;
      windows.push_back(window);
    }
  }
  return windows;
}

int reflected_index(int index, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  const int place = index % period;
  return place < size ? place : period - place;
}

}  // namespace kiln::sharding
