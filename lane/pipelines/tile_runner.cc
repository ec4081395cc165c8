#include "lane/pipelines/tile_runner.h"

#include <algorithm>
#include <cstring>

namespace kiln::lane {
namespace {

constexpr std::size_t kChannels = 3;

std::size_t offset(int y, int x, int width) {
  return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) * kChannels;
}

}  // namespace

TileRunner::TileRunner(Network& network, TileShape tile, std::vector<sharding::TileWindow> windows, int model_scale)
    : network_(network), tile_(tile), windows_(std::move(windows)), scale_(model_scale) {
  const auto pixels = static_cast<std::size_t>(tile_.height * tile_.width);
  tile_in_.resize(pixels * kChannels * static_cast<std::size_t>(tile_.frames));
  tile_out_.resize(pixels * kChannels * static_cast<std::size_t>(scale_) * static_cast<std::size_t>(scale_));
}

// Rows and columns beyond the frame are mirrored, as the importer's checks and the planner assume.
void TileRunner::gather(const RgbFrame& frame, const sharding::TileWindow& window, std::span<float> into) const {
  const int tile_width = static_cast<int>(tile_.width);
  const int inside = tile_width - window.pad_right;
  for (int y = 0; y < static_cast<int>(tile_.height); ++y) {
    const int row = sharding::reflected_index(window.y + y, frame.height);
    const float* source = frame.pixels.data() + offset(row, window.x, frame.width);
    float* target = into.data() + offset(y, 0, tile_width);
    std::memcpy(target, source, static_cast<std::size_t>(inside) * kChannels * sizeof(float));
    for (int x = inside; x < tile_width; ++x) {
      const int column = sharding::reflected_index(window.x + x, frame.width);
      std::memcpy(target + offset(0, x, 0), frame.pixels.data() + offset(row, column, frame.width),
                  kChannels * sizeof(float));
    }
  }
}

void TileRunner::keep(const sharding::TileWindow& window, RgbFrame& out) const {
  const int tile_width = static_cast<int>(tile_.width) * scale_;
  const auto row_bytes = static_cast<std::size_t>(window.keep_width * scale_) * kChannels * sizeof(float);
  for (int y = 0; y < window.keep_height * scale_; ++y) {
    const int from_y = (window.keep_y - window.y) * scale_ + y;
    const int from_x = (window.keep_x - window.x) * scale_;
    std::memcpy(out.pixels.data() + offset(window.keep_y * scale_ + y, window.keep_x * scale_, out.width),
                tile_out_.data() + offset(from_y, from_x, tile_width), row_bytes);
  }
}

Status TileRunner::run(Executor executor, std::span<const RgbFrame* const> frames, RgbFrame& out) {
  const RgbFrame& first = *frames.front();
  out.resize(first.height * scale_, first.width * scale_);
  const bool whole = windows_.size() == 1 && first.height == tile_.height && first.width == tile_.width;
  if (whole && frames.size() == 1) return network_.run(executor, first.pixels, tile_, out.pixels);

  const std::size_t frame_floats = tile_in_.size() / frames.size();
  for (const sharding::TileWindow& window : windows_) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      gather(*frames[i], window, std::span(tile_in_).subspan(i * frame_floats, frame_floats));
    }
    KILN_TRY(network_.run(executor, tile_in_, tile_, tile_out_));
    keep(window, out);
  }
  return {};
}

}  // namespace kiln::lane
