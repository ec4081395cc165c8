// What a card holds of one frame beside the network's activations. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kiln::sharding {

// Rows of an output that are resampled at a time: what lies between the two passes is no whole frame of floats.
inline constexpr int kResampleBandRows = 128;

struct CardFrame {
  int height = 0;  // of the clip
  int width = 0;
  int scale = 1;   // of the network
  int output_height = 0;
  int output_width = 0;
  int value_bytes = 2;  // of RGB
};

// The frame that is put together of tiles; and where the output is smaller than what the network gives, that output and a band
// of rows of floats between the two passes of its resampling (lane/gpu/resample_kernels.h).
[[nodiscard]] inline std::uint64_t frame_buffer_bytes(const CardFrame& frame, bool tiled) {
  constexpr std::uint64_t kChannels = 3;
  const auto value_bytes = static_cast<std::uint64_t>(frame.value_bytes);
  const std::uint64_t made_height = static_cast<std::uint64_t>(frame.height) * static_cast<std::uint64_t>(frame.scale);
  const std::uint64_t made_width = static_cast<std::uint64_t>(frame.width) * static_cast<std::uint64_t>(frame.scale);
  const auto output_height = static_cast<std::uint64_t>(frame.output_height);
  const auto output_width = static_cast<std::uint64_t>(frame.output_width);
  std::uint64_t bytes = tiled ? kChannels * made_height * made_width * value_bytes : 0;
  if (output_height != made_height || output_width != made_width) {
    const std::uint64_t band_rows = std::min<std::uint64_t>(output_height, kResampleBandRows);
    bytes += kChannels * (band_rows * made_width * sizeof(float) + output_height * output_width * value_bytes);
  }
  return bytes;
}

}  // namespace kiln::sharding
