#include "lane/media/color/interleave.h"

#include <cstring>

namespace kiln::lane {
namespace {

constexpr std::size_t kLanes = 4;
using Float4 = float __attribute__((vector_size(kLanes * sizeof(float))));

Float4 load(const float* at) {
  Float4 value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

void store(float* at, Float4 value) {
  std::memcpy(at, &value, sizeof(value));
}

}  // namespace

void interleave(const float* red, const float* green, const float* blue, std::size_t count,
                float* rgb) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Float4 r = load(red + i);
    const Float4 g = load(green + i);
    const Float4 b = load(blue + i);
    const Float4 rg_low = __builtin_shufflevector(r, g, 0, 4, 1, 5);              // r0 g0 r1 g1
    const Float4 rg_high = __builtin_shufflevector(r, g, 2, 6, 3, 7);             // r2 g2 r3 g3
    const Float4 b0_r1 = __builtin_shufflevector(b, rg_low, 0, 6, 1, 7);          // b0 r1 b1 g1
    const Float4 b2_r3 = __builtin_shufflevector(b, rg_high, 2, 6, 3, 7);         // b2 r3 b3 g3
    store(rgb + 3 * i, __builtin_shufflevector(rg_low, b0_r1, 0, 1, 4, 5));       // r0 g0 b0 r1
    store(rgb + 3 * i + 4, __builtin_shufflevector(b0_r1, rg_high, 3, 2, 4, 5));  // g1 b1 r2 g2
    store(rgb + 3 * i + 8, __builtin_shufflevector(b2_r3, b2_r3, 0, 1, 3, 2));    // b2 r3 g3 b3
  }
  for (; i < count; ++i) {
    rgb[3 * i] = red[i];
    rgb[3 * i + 1] = green[i];
    rgb[3 * i + 2] = blue[i];
  }
}

void deinterleave(const float* rgb, std::size_t count, float* red, float* green, float* blue) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Float4 x = load(rgb + 3 * i);                           // r0 g0 b0 r1
    const Float4 y = load(rgb + 3 * i + 4);                       // g1 b1 r2 g2
    const Float4 z = load(rgb + 3 * i + 8);                       // b2 r3 g3 b3
    const Float4 yz = __builtin_shufflevector(y, z, 2, 3, 5, 6);  // r2 g2 r3 g3
    const Float4 xy = __builtin_shufflevector(x, y, 1, 2, 4, 5);  // g0 b0 g1 b1
    store(red + i, __builtin_shufflevector(x, yz, 0, 3, 4, 6));
    store(green + i, __builtin_shufflevector(xy, yz, 0, 2, 5, 7));
    store(blue + i, __builtin_shufflevector(xy, z, 1, 3, 4, 7));
  }
  for (; i < count; ++i) {
    red[i] = rgb[3 * i];
    green[i] = rgb[3 * i + 1];
    blue[i] = rgb[3 * i + 2];
  }
}

}  // namespace kiln::lane
