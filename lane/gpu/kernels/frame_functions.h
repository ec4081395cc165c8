// Planes of code values <-> RGB, for one pair of pixels, one pixel, or one tile at a time. The functions of
// lane/media/color/row_kernels.cc in the same order of operations: compiled without fused multiply-add the bits are the same.
//
// Compiled twice: by NVRTC as part of frame_kernels.cu, and by the host's compiler for the tests. So it includes
// nothing of the standard library. `Rgb` is one of the types below or frame_kernels.cu's: how a value of RGB is stored.
#pragma once

#include "lane/gpu/kernels/frame_parameters.h"

#ifndef KILN_DEVICE
#define KILN_DEVICE inline
#endif

namespace kiln::lane::kernels {

using Offset = long long;

// ---- values ----

KILN_DEVICE int between(int value, int low, int high) { return value < low ? low : (value > high ? high : value); }

// NaN becomes 0.
KILN_DEVICE float clamped(float value, float high) {
  const float low_clamped = value > 0.0F ? value : 0.0F;
  return low_clamped < high ? low_clamped : high;
}

union FloatBits {
  float value;
  unsigned bits;
};

struct RgbFloat32 {
  KILN_DEVICE static float load(const void* rgb, Offset i) { return static_cast<const float*>(rgb)[i]; }
  KILN_DEVICE static void store(void* rgb, Offset i, float value) { static_cast<float*>(rgb)[i] = value; }
};

// The upper half of a float, rounded to the nearest, ties to even.
struct RgbBfloat16 {
  KILN_DEVICE static float load(const void* rgb, Offset i) {
    FloatBits wide;
    wide.bits = static_cast<unsigned>(static_cast<const unsigned short*>(rgb)[i]) << 16U;
    return wide.value;
  }
  KILN_DEVICE static void store(void* rgb, Offset i, float value) {
    FloatBits wide;
    wide.value = value;
    const unsigned rounded = value == value ? (wide.bits + 0x7fffU + (wide.bits >> 16U & 1U)) >> 16U : 0x7fc0U;
    static_cast<unsigned short*>(rgb)[i] = static_cast<unsigned short>(rounded);
  }
};

// Bayer's 8x8 pattern: (0 … 63 + 1/2) / 64 - 1/2, code values that are added before rounding.
KILN_DEVICE float ordered_dither(int x, int y) {
  const int mixed = x ^ y;
  int rank = 0;
  for (int bit = 0; bit < 3; ++bit) rank = rank << 2 | (mixed >> bit & 1) << 1 | (y >> bit & 1);
  return (static_cast<float>(rank) + 0.5F) / 64.0F - 0.5F;
}

template <bool kDither, typename Sample>
KILN_DEVICE void encode(const CodeRange& range, float signal, int x, int y, Sample* out) {
  float code = signal * range.scale + range.rounding_offset;
  if (kDither) code += ordered_dither(x, y);
  *out = static_cast<Sample>(static_cast<int>(clamped(code, range.most)));
}

KILN_DEVICE float weigh(const float* weights, const float* rgb) {
  return weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2];
}

// Of the first channel.
KILN_DEVICE Offset place_of(const RgbStrides& strides, int x, int y) {
  return static_cast<Offset>(y) * strides.row + static_cast<Offset>(x) * strides.column;
}

template <typename Rgb>
KILN_DEVICE void load_pixel(const FrameParameters& p, const void* rgb, Offset at, float* pixel) {
  for (int c = 0; c < 3; ++c) {
    const float value = Rgb::load(rgb, at + c * p.rgb.channel);
    pixel[c] = p.clamp != 0 ? clamped(value, 1.0F) : value;
  }
}

template <typename Rgb>
KILN_DEVICE void store_pixel(const FrameParameters& p, void* rgb, int x, int y, float red, float green, float blue) {
  const Offset at = place_of(p.rgb, x, y);
  Rgb::store(rgb, at, p.clamp != 0 ? clamped(red, 1.0F) : red);
  Rgb::store(rgb, at + p.rgb.channel, p.clamp != 0 ? clamped(green, 1.0F) : green);
  Rgb::store(rgb, at + 2 * p.rgb.channel, p.clamp != 0 ? clamped(blue, 1.0F) : blue);
}

// ---- planes to RGB ----

template <typename Sample>
KILN_DEVICE float decoded(const CodeRange& range, const Sample* planes, Offset at) {
  return (static_cast<float>(planes[at]) - range.offset) * range.factor;
}

// Chroma of luma row y in one chroma column.
template <typename Sample>
KILN_DEVICE float chroma_at(const FrameParameters& p, const Sample* planes, int plane, int column, int y) {
  const Sample* samples = planes + p.plane_offset[plane] + between(column, 0, p.chroma_width - 1);
  if (p.halved_down == 0) return decoded(p.chroma, samples, static_cast<Offset>(y) * p.chroma_width);
  const int parity = y & 1;
  const int first = (y >> 1) + p.doubling_down_first[parity];
  float code = 0.0F;
  for (int k = 0; k < kDoublingDownTaps; ++k) {
    const Offset row = between(first + k, 0, p.chroma_height - 1);
    code += static_cast<float>(samples[row * p.chroma_width]) * p.doubling_down[parity][k];
  }
  return (code - p.chroma.offset) * p.chroma.factor;
}

// Chroma of luma columns 2 * pair and the next.
template <typename Sample>
KILN_DEVICE void chroma_of_pair(const FrameParameters& p, const Sample* planes, int plane, int pair, int y, float* out) {
  if (p.halved_across == 0) {
    out[0] = chroma_at(p, planes, plane, 2 * pair, y);
    out[1] = chroma_at(p, planes, plane, 2 * pair + 1, y);
    return;
  }
  out[0] = 0.0F;
  out[1] = 0.0F;
  for (int k = 0; k < kDoublingAcrossTaps; ++k) {
    const float value = chroma_at(p, planes, plane, pair - 2 + k, y);
    out[0] += value * p.doubling_across[0][k];
    out[1] += value * p.doubling_across[1][k];
  }
}

template <typename Sample, typename Rgb>
KILN_DEVICE void yuv_pair_to_rgb(const FrameParameters& p, const Sample* planes, void* rgb, int pair, int y) {
  float first[2];
  float second[2];
  chroma_of_pair(p, planes, 1, pair, y, first);
  chroma_of_pair(p, planes, 2, pair, y, second);
  for (int i = 0; i < 2 && 2 * pair + i < p.width; ++i) {
    const int x = 2 * pair + i;
    const float luma = decoded(p.luma, planes, static_cast<Offset>(y) * p.width + x);
    const float red = luma + (p.to_rgb[0][0] * first[i] + p.to_rgb[0][1] * second[i]);
    const float green = luma + (p.to_rgb[1][0] * first[i] + p.to_rgb[1][1] * second[i]);
    const float blue = luma + (p.to_rgb[2][0] * first[i] + p.to_rgb[2][1] * second[i]);
    store_pixel<Rgb>(p, rgb, x, y, red, green, blue);
  }
}

template <typename Sample, typename Rgb>
KILN_DEVICE void other_pixel_to_rgb(const FrameParameters& p, const Sample* planes, void* rgb, int x, int y) {
  const Offset at = static_cast<Offset>(y) * p.width + x;
  if (p.layout == Layout::kGray) {
    const float luma = decoded(p.luma, planes, at);
    return store_pixel<Rgb>(p, rgb, x, y, luma, luma, luma);
  }
  if (p.layout == Layout::kPackedRgb) {
    return store_pixel<Rgb>(p, rgb, x, y, decoded(p.luma, planes, 3 * at), decoded(p.luma, planes, 3 * at + 1),
                            decoded(p.luma, planes, 3 * at + 2));
  }
  store_pixel<Rgb>(p, rgb, x, y, decoded(p.luma, planes, p.plane_offset[2] + at), decoded(p.luma, planes, at),
                   decoded(p.luma, planes, p.plane_offset[1] + at));
}

// Pixels 2 * pair and the next of row y, where the frame has them.
template <typename Sample, typename Rgb>
KILN_DEVICE void pair_to_rgb(const FrameParameters& p, const Sample* planes, void* rgb, int pair, int y) {
  if (2 * pair >= p.width || y >= p.height) return;
  if (p.layout == Layout::kYuv) return yuv_pair_to_rgb<Sample, Rgb>(p, planes, rgb, pair, y);
  other_pixel_to_rgb<Sample, Rgb>(p, planes, rgb, 2 * pair, y);
  if (2 * pair + 1 < p.width) other_pixel_to_rgb<Sample, Rgb>(p, planes, rgb, 2 * pair + 1, y);
}

// ---- RGB to planes ----

// Every format whose chroma is whole.
template <bool kDither, typename Sample>
KILN_DEVICE void encode_pixel(const FrameParameters& p, const float* pixel, Sample* planes, int x, int y) {
  const Offset at = static_cast<Offset>(y) * p.width + x;
  if (p.layout == Layout::kPackedRgb) {
    for (int c = 0; c < 3; ++c) encode<kDither>(p.luma, pixel[c], x, y, planes + 3 * at + c);
    return;
  }
  if (p.layout == Layout::kPlanarGbr) {
    encode<kDither>(p.luma, pixel[1], x, y, planes + at);
    encode<kDither>(p.luma, pixel[2], x, y, planes + p.plane_offset[1] + at);
    encode<kDither>(p.luma, pixel[0], x, y, planes + p.plane_offset[2] + at);
    return;
  }
  encode<kDither>(p.luma, weigh(p.from_rgb[0], pixel), x, y, planes + at);
  if (p.layout == Layout::kGray) return;
  encode<kDither>(p.chroma, weigh(p.from_rgb[1], pixel), x, y, planes + p.plane_offset[1] + at);
  encode<kDither>(p.chroma, weigh(p.from_rgb[2], pixel), x, y, planes + p.plane_offset[2] + at);
}

template <typename Sample, typename Rgb>
KILN_DEVICE void pixel_to_planes(const FrameParameters& p, const void* rgb, Sample* planes, int x, int y) {
  if (x >= p.width || y >= p.height) return;
  float pixel[3];
  load_pixel<Rgb>(p, rgb, place_of(p.rgb, x, y), pixel);
  p.dither != 0 ? encode_pixel<true>(p, pixel, planes, x, y) : encode_pixel<false>(p, pixel, planes, x, y);
}

// Luma and halved chroma, a tile by a block of threads. Three steps; each thread does its part of one, and all wait for
// each other between them. Shared by the block:
struct HalvingTile {
  float whole[2][kTileRows][kTileColumns];         // chroma of luma positions, with what the taps reach
  float across[2][kTileRows][kTileChromaColumns];  // halved across
};

KILN_DEVICE int tile_rows(const FrameParameters& p) { return p.halved_down != 0 ? kTileRows : kTileLumaRows; }

// Positions outside the frame count as its nearest pixel.
template <typename Sample, typename Rgb, bool kDither>
KILN_DEVICE void read_tile(const FrameParameters& p, const void* rgb, Sample* planes, HalvingTile& tile, int tile_x,
                           int tile_y, int thread) {
  const int first_x = tile_x * kTileLumaColumns;
  const int first_y = tile_y * kTileLumaRows;
  const int column = thread % kTileColumns;
  const int x = first_x + p.halving_across_first + column;
  const bool own_x = x >= first_x && x < first_x + kTileLumaColumns && x < p.width;
  const Offset at_x = static_cast<Offset>(between(x, 0, p.width - 1)) * p.rgb.column;
  const int halo_y = p.halved_down != 0 ? p.halving_down_first : 0;
  const int end_y = first_y + kTileLumaRows < p.height ? first_y + kTileLumaRows : p.height;
  const int rows = tile_rows(p);
  for (int row = thread / kTileColumns; row < rows; row += kTileThreads / kTileColumns) {
    const int y = first_y + halo_y + row;
    float pixel[3];
    load_pixel<Rgb>(p, rgb, static_cast<Offset>(between(y, 0, p.height - 1)) * p.rgb.row + at_x, pixel);
    tile.whole[0][row][column] = weigh(p.from_rgb[1], pixel);
    tile.whole[1][row][column] = weigh(p.from_rgb[2], pixel);
    if (own_x && y >= first_y && y < end_y) {
      encode<kDither>(p.luma, weigh(p.from_rgb[0], pixel), x, y, planes + static_cast<Offset>(y) * p.width + x);
    }
  }
}

KILN_DEVICE void halve_tile_across(const FrameParameters& p, HalvingTile& tile, int thread) {
  const int column = thread % kTileLanes;
  if (column >= kTileChromaColumns) return;
  const int rows = tile_rows(p);
  for (int row = thread / kTileLanes; row < rows; row += kTileThreads / kTileLanes) {
    for (int plane = 0; plane < 2; ++plane) {
      const float* at = tile.whole[plane][row] + Offset{2} * column;
      float sum = at[0] * p.halving_across[0];
      for (int k = 1; k < kHalvingTapCount; ++k) sum += at[k] * p.halving_across[k];
      tile.across[plane][row][column] = sum;
    }
  }
}

template <bool kDither, typename Sample>
KILN_DEVICE void write_tile_chroma(const FrameParameters& p, const HalvingTile& tile, Sample* planes, int tile_x, int tile_y,
                                   int thread) {
  const int rows = p.halved_down != 0 ? kTileLumaRows / 2 : kTileLumaRows;
  const int column = thread % kTileLanes;
  const int x = tile_x * kTileChromaColumns + column;
  if (column >= kTileChromaColumns || x >= p.chroma_width) return;
  for (int row = thread / kTileLanes; row < rows; row += kTileThreads / kTileLanes) {
    const int y = tile_y * rows + row;
    if (y >= p.chroma_height) return;
    const Offset at = static_cast<Offset>(y) * p.chroma_width + x;
    for (int plane = 0; plane < 2; ++plane) {
      float value = tile.across[plane][row][column];
      if (p.halved_down != 0) {
        value = tile.across[plane][2 * row][column] * p.halving_down[0];
        for (int k = 1; k < kHalvingTapCount; ++k) value += tile.across[plane][2 * row + k][column] * p.halving_down[k];
      }
      encode<kDither>(p.chroma, value, x, y, planes + p.plane_offset[plane + 1] + at);
    }
  }
}

}  // namespace kiln::lane::kernels
