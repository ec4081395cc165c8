// Lanczos-3 of RGB in two passes: lane/media/color/lanczos.cc in the same order of operations. See frame_functions.h.
#pragma once

#include "lane/gpu/kernels/frame_functions.h"

namespace kiln::lane::kernels {

// Blended rows: band_rows x input_width x 3. `i` counts values of a row, `y` rows of the band.
template <typename Rgb>
KILN_DEVICE void resample_down(const ResampleParameters& p, const void* rgb, float* blended, int i, int y) {
  const int row_values = 3 * p.input_width;
  const int output_y = p.band_first + y;
  if (i >= row_values || y >= p.band_rows || output_y >= p.output_height) return;
  const float* weights = p.down_weights + static_cast<Offset>(output_y) * p.down_count;
  const int first = p.down_first[output_y];
  const Offset column = (i / 3) * static_cast<Offset>(p.input.column) + (i % 3) * p.input.channel;
  float sum = 0.0F;
  for (int k = 0; k < p.down_count; ++k) {
    const Offset row = between(first + k, 0, p.input_height - 1);
    sum += Rgb::load(rgb, row * p.input.row + column) * weights[k];
  }
  blended[static_cast<Offset>(y) * row_values + i] = sum;
}

template <typename Rgb>
KILN_DEVICE void resample_across(const ResampleParameters& p, const float* blended, void* rgb, int x, int y) {
  if (x >= p.output_width || y >= p.band_rows || p.band_first + y >= p.output_height) return;
  const float* row = blended + static_cast<Offset>(y) * 3 * p.input_width;
  const float* weights = p.across_weights + static_cast<Offset>(x) * p.across_count;
  const int first = p.across_first[x];
  float sums[3] = {0.0F, 0.0F, 0.0F};
  for (int k = 0; k < p.across_count; ++k) {
    const float* pixel = row + Offset{3} * between(first + k, 0, p.input_width - 1);
    for (int c = 0; c < 3; ++c) sums[c] += pixel[c] * weights[k];
  }
  const Offset at = place_of(p.output, x, p.band_first + y);
  for (int c = 0; c < 3; ++c) Rgb::store(rgb, at + c * p.output.channel, sums[c]);
}

}  // namespace kiln::lane::kernels
