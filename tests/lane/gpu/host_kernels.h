// The functions of lane/gpu/kernels on the host: every thread of every block in turn, as the wrappers of
// frame_kernels.cu call them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "lane/gpu/frame_kernels.h"
#include "lane/gpu/kernels/frame_functions.h"

namespace kiln::lane {

// IEEE 754's half float: rounded to the nearest, ties to even. Written for clearness; compilers' own types differ.
inline std::uint16_t half_bits(float value) {
  constexpr int kLeastExponent = -14;
  constexpr unsigned kInfinity = 0x7c00;
  const unsigned sign = std::signbit(value) ? 0x8000U : 0U;
  if (std::isnan(value)) return static_cast<std::uint16_t>(kInfinity | 0x200U);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | kInfinity);
  const double size = std::abs(double{value});
  if (size == 0.0) return static_cast<std::uint16_t>(sign);
  int exponent = 0;
  (void)std::frexp(size, &exponent);
  exponent = std::max(exponent - 1, kLeastExponent);
  const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(size, 10 - std::min(exponent, 16))));
  const unsigned bits = static_cast<unsigned>(exponent - kLeastExponent) * 1024U + steps;  // a carry is the next exponent
  return static_cast<std::uint16_t>(sign | std::min(bits, kInfinity));
}

inline float half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int mantissa = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return mantissa != 0 ? std::numeric_limits<float>::quiet_NaN() : sign * std::numeric_limits<float>::infinity();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
}

struct HostFloat16 {
  static float load(const void* rgb, kernels::Offset i) { return half_value(static_cast<const std::uint16_t*>(rgb)[i]); }
  static void store(void* rgb, kernels::Offset i, float value) { static_cast<std::uint16_t*>(rgb)[i] = half_bits(value); }
};

template <typename Sample, typename Rgb>
void to_rgb_on_host(const kernels::FrameParameters& p, const std::byte* planes, void* rgb) {
  const auto* samples = reinterpret_cast<const Sample*>(planes);
  // One more than there are in both directions: grids are whole blocks.
  for (int y = 0; y <= p.height; ++y) {
    for (int pair = 0; pair <= (p.width + 1) / 2; ++pair) kernels::pair_to_rgb<Sample, Rgb>(p, samples, rgb, pair, y);
  }
}

template <typename Sample, typename Rgb, bool kDither>
void halved_from_rgb_on_host(const kernels::FrameParameters& p, const void* rgb, Sample* samples) {
  const auto tile = std::make_unique<kernels::HalvingTile>();
  for (int y = 0; y * kernels::kTileLumaRows < p.height; ++y) {
    for (int x = 0; x * kernels::kTileChromaColumns < p.chroma_width; ++x) {
      for (int t = 0; t < kernels::kTileThreads; ++t) {
        kernels::read_tile<Sample, Rgb, kDither>(p, rgb, samples, *tile, x, y, t);
      }
      for (int t = 0; t < kernels::kTileThreads; ++t) kernels::halve_tile_across(p, *tile, t);
      for (int t = 0; t < kernels::kTileThreads; ++t) kernels::write_tile_chroma<kDither>(p, *tile, samples, x, y, t);
    }
  }
}

template <typename Sample, typename Rgb>
void from_rgb_on_host(const kernels::FrameParameters& p, const void* rgb, std::byte* planes) {
  auto* samples = reinterpret_cast<Sample*>(planes);
  if (p.halved_across != 0) {
    return p.dither != 0 ? halved_from_rgb_on_host<Sample, Rgb, true>(p, rgb, samples)
                         : halved_from_rgb_on_host<Sample, Rgb, false>(p, rgb, samples);
  }
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
