#include "lane/core/clip_size.h"

#include <algorithm>

namespace kiln::lane {
namespace {

// What a side, or the number of frames, can be: first, first + step, … up to last.
struct Sizes {
  std::int64_t first = 1;
  std::int64_t step = 1;
  std::int64_t last = 1;

  [[nodiscard]] std::int64_t nearest(std::int64_t wanted) const {
    const std::int64_t within = std::clamp(wanted, first, last) - first;
    return std::min(first + (within + step / 2) / step * step, last);
  }
};

Sizes sides(std::int64_t stride, std::int64_t patch, std::int64_t grid_max) {
  return {stride * patch, stride * patch, stride * patch * grid_max};
}

// Latent frames are patch, 2 · patch, …; the first is one frame, the others stride frames each.
Sizes lengths(std::int64_t stride, std::int64_t patch, std::int64_t grid_max) {
  return {1 + (patch - 1) * stride, patch * stride, 1 + (patch * grid_max - 1) * stride};
}

}  // namespace

Result<LatentSize> latent_size_of(const sharding::GeneratorManifest& manifest, const ClipSize& size) {
  const std::int64_t space = manifest.stride_space;
  const std::int64_t time = manifest.stride_time;
  const Sizes widths = sides(space, manifest.patch[2], manifest.grid_max);
  const Sizes heights = sides(space, manifest.patch[1], manifest.grid_max);
  const Sizes frames = lengths(time, manifest.patch[0], manifest.grid_max);
  const ClipSize nearest{widths.nearest(size.width), heights.nearest(size.height), frames.nearest(size.frames)};
  if (nearest.width != size.width || nearest.height != size.height) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "a size of {}x{}: {} makes multiples of {}x{} up to {}x{}; the nearest is {}x{}", size.width,
                           size.height, manifest.name, widths.step, heights.step, widths.last, heights.last,
                           nearest.width, nearest.height));
  }
  if (nearest.frames != size.frames) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{} frames: {} makes {} and then {} more at a time, up to {}; the "
                           "nearest is {}", size.frames, manifest.name, frames.first, frames.step, frames.last,
                           nearest.frames));
  }
  return LatentSize{manifest.latent_channels, 1 + (size.frames - 1) / time, size.height / space, size.width / space};
}

}  // namespace kiln::lane
