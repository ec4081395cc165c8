#include "lane/core/segment_window.h"

#include <algorithm>

namespace kiln::lane {

std::int64_t SegmentWindow::clamp(std::int64_t index) const {
  return std::clamp<std::int64_t>(index, 0, range_.clip_frames - 1);
}

std::optional<std::int64_t> SegmentWindow::ready(std::int64_t newest) const {
  if (complete() || clamp(next_ + range_.frames_after) > newest) return std::nullopt;
  return next_;
}

std::vector<std::int64_t> SegmentWindow::inputs(std::int64_t index) const {
  std::vector<std::int64_t> frames;
  for (std::int64_t i = index - range_.frames_before; i <= index + range_.frames_after; ++i) {
    frames.push_back(clamp(i));
  }
  return frames;
}

}  // namespace kiln::lane
