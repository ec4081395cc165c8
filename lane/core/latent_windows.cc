#include "lane/core/latent_windows.h"

#include <algorithm>

namespace kiln::lane {
namespace {

std::vector<LatentWindow> windows_of(std::int64_t side, std::int64_t size, std::int64_t stride) {
  std::vector<LatentWindow> windows;
  for (std::int64_t begin = 0; begin < side; begin += stride) windows.push_back({begin, std::min(size, side - begin)});
  return windows;
}

}  // namespace

Result<LatentWindows> lay_latent_windows(const DecodeTiles& tiles, std::int64_t height, std::int64_t width,
                                         std::int64_t stride_space) {
  // diffusers takes other numbers and rounds them, which leaves rows out or blends the wrong ones.
  if (tiles.stride < stride_space || tiles.size < tiles.stride || tiles.size % stride_space != 0 ||
      tiles.stride % stride_space != 0) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "tiles of {} pixels every {}: both are multiples of {}, and the distance is not larger than a tile",
                           tiles.size, tiles.stride, stride_space));
  }
  const std::int64_t size = tiles.size / stride_space;
  LatentWindows windows;
  windows.stride_pixels = tiles.stride;
  windows.blend_pixels = tiles.size - tiles.stride;
  if (height <= size && width <= size) {
    windows.rows = {{0, height}};
    windows.columns = {{0, width}};
    windows.stride_pixels = std::max(height, width) * stride_space;
    return windows;
  }
  windows.rows = windows_of(height, size, tiles.stride / stride_space);
  windows.columns = windows_of(width, size, tiles.stride / stride_space);
  return windows;
}

}  // namespace kiln::lane
