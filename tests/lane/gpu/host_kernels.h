// The functions of lane/gpu/kernels on the host: every thread of every block in turn, as the wrappers of
// frame_kernels.cu call them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "lane/gpu/frame_kernels.h"
#include "lane/gpu/kernels/frame_functions.h"

namespace kiln::lane {

// The compiler's own half float: rounds to the nearest, ties to even.
struct HostFloat16 {
  static float load(const void* rgb, kernels::Offset i) {
    return static_cast<float>(static_cast<const _Float16*>(rgb)[i]);
  }
  static void store(void* rgb, kernels::Offset i, float value) {
    static_cast<_Float16*>(rgb)[i] = static_cast<_Float16>(value);
  }
};

template <typename Sample, typename Rgb>
void to_rgb_on_host(const kernels::FrameParameters& p, const std::byte* planes, void* rgb) {
  const auto* samples = reinterpret_cast<const Sample*>(planes);
  // One more than there are in both directions: grids are whole blocks.
  for (int y = 0; y <= p.height; ++y) {
    for (int pair = 0; pair <= (p.width + 1) / 2; ++pair) kernels::pair_to_rgb<Sample, Rgb>(p, samples, rgb, pair, y);
  }
}

template <typename Sample, typename Rgb>
void halved_from_rgb_on_host(const kernels::FrameParameters& p, const void* rgb, Sample* samples) {
  const auto tile = std::make_unique<kernels::HalvingTile>();
  for (int y = 0; y * kernels::kTileLumaRows < p.height; ++y) {
    for (int x = 0; x * kernels::kTileChromaColumns < p.chroma_width; ++x) {
      for (int t = 0; t < kernels::kTileThreads; ++t) kernels::read_tile<Sample, Rgb>(p, rgb, samples, *tile, x, y, t);
      for (int t = 0; t < kernels::kTileThreads; ++t) kernels::halve_tile_across(p, *tile, t);
      for (int t = 0; t < kernels::kTileThreads; ++t) kernels::write_tile_chroma(p, *tile, samples, x, y, t);
    }
  }
}

template <typename Sample, typename Rgb>
void from_rgb_on_host(const kernels::FrameParameters& p, const void* rgb, std::byte* planes) {
  auto* samples = reinterpret_cast<Sample*>(planes);
  if (p.halved_across != 0) return halved_from_rgb_on_host<Sample, Rgb>(p, rgb, samples);
  for (int y = 0; y <= p.height; ++y) {
    for (int x = 0; x <= p.width; ++x) kernels::pixel_to_planes<Sample, Rgb>(p, rgb, samples, x, y);
  }
}

// Values of RGB as the card stores them, and back.
template <typename Rgb>
std::vector<std::byte> stored(const std::vector<float>& rgb, std::size_t value_bytes) {
  std::vector<std::byte> bytes(rgb.size() * value_bytes);
  for (std::size_t i = 0; i < rgb.size(); ++i) Rgb::store(bytes.data(), static_cast<kernels::Offset>(i), rgb[i]);
  return bytes;
}

template <typename Rgb>
std::vector<float> loaded(const std::vector<std::byte>& bytes, std::size_t value_bytes) {
  std::vector<float> rgb(bytes.size() / value_bytes);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = Rgb::load(bytes.data(), static_cast<kernels::Offset>(i));
  return rgb;
}

}  // namespace kiln::lane
