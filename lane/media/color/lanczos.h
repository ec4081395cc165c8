// Lanczos-3 resampling of float RGB, antialiased when it shrinks: for a --scale below the model's.
#pragma once

#include <vector>

#include "base/result.h"
#include "lane/media/color/rgb_view.h"

namespace kiln::lane {

inline constexpr int kLanczosLobes = 3;

// Output pixel i is centred on input position (i + 1/2) * input / output - 1/2. The kernel sinc(x)
// sinc(x/3), |x| < 3 (Duchon, "Lanczos Filtering in One and Two Dimensions", 1979) is stretched by
// input/output where that is above 1; weights are computed in double, normalised to a sum of 1;
// beyond an edge the edge pixel is repeated.
struct ResampleTaps {
  int count = 0;               // a pixel
  std::vector<int> first;      // input index of the first tap; may lie outside the input
  std::vector<float> weights;  // count a pixel
};
[[nodiscard]] ResampleTaps lanczos3_taps(int input_size, int output_size);

// Input pixels on each side of its centre that an output pixel depends on: what a tile's halo would
// need on top.
[[nodiscard]] int lanczos3_support(int input_size, int output_size);

// Immutable after create(): threads may share one and make different rows. Each output row is the
// same bits however the frame is cut: it depends on input rows only.
class LanczosResampler {
 public:
  [[nodiscard]] static Result<LanczosResampler> create(int input_width, int input_height,
                                                       int output_width, int output_height);

  // Whole input image; writes output rows [first, last). Values may leave 0 … 1 at sharp edges.
  void resample(ConstRgbView input, RgbView output, RowRange rows) const;
  void resample(ConstRgbView input, RgbView output) const {
    resample(input, output, {0, output_height_});
  }

 private:
  LanczosResampler() = default;

  void blend_input_rows(ConstRgbView input, int y, float* out) const;
  void resample_row(const float* padded, float* out) const;

  int input_width_ = 0;
  int input_height_ = 0;
  int output_width_ = 0;
  int output_height_ = 0;
  ResampleTaps across_;
  ResampleTaps down_;
};

}  // namespace kiln::lane
