// Taps that double or halve chroma along one axis, in the right phase.
//
// The kernel is Keys' cubic with a = -1/2 ("Cubic convolution interpolation", IEEE TASSP 1981, also
// known as Catmull-Rom): it passes through the samples and reproduces straight lines and parabolas.
// Doubling takes it as it is (4 taps). Halving takes it stretched by two, which removes what the
// coarse grid cannot hold (8 taps; co-sited that is the half-band filter (-1 0 9 16 9 0 -1)/32).
// All taps are multiples of 1/1024 or so and exact in float; they sum to 1.
//
// Siting (H.273 figures 1 and 2, ChromaLocType): chroma sample c lies at luma position 2c + offset,
// with offset 0 where it is co-sited with the first of two luma samples, 1/2 between them, 1 with
// the second.
#pragma once

#include <array>

#include "lane/media/color_description.h"

namespace kiln::lane {

// In half luma samples: 0, 1 or 2.
struct ChromaOffset {
  int across = 0;
  int down = 0;
};
[[nodiscard]] ChromaOffset chroma_offset(ChromaSiting siting);

inline constexpr int kDoublingTaps = 4;
inline constexpr int kHalvingTaps = 8;
// No tap lies further than this from its own sample, on either grid.
inline constexpr int kChromaReach = 4;

// Luma position 2c + parity is the sum of taps[k] * chroma[c + first + k].
struct DoublingFilter {
  int first = 0;
  std::array<float, kDoublingTaps> taps{};
};
[[nodiscard]] DoublingFilter doubling_filter(int offset_halves, int parity);

// Chroma position c is the sum of taps[k] * luma[2c + first + k].
struct HalvingFilter {
  int first = 0;
  std::array<float, kHalvingTaps> taps{};
};
[[nodiscard]] HalvingFilter halving_filter(int offset_halves);

}  // namespace kiln::lane
