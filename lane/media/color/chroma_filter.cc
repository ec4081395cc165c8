#include "lane/media/color/chroma_filter.h"

#include <cmath>

namespace kiln::lane {
namespace {

double keys_cubic(double distance) {
  const double x = std::abs(distance);
  if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
  if (x < 2.0) return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
  return 0.0;
}

}  // namespace

ChromaOffset chroma_offset(ChromaSiting siting) {
  switch (siting) {
    case ChromaSiting::kUnspecified:
    case ChromaSiting::kLeft:
      return {0, 1};
    case ChromaSiting::kCenter:
      return {1, 1};
    case ChromaSiting::kTopLeft:
      return {0, 0};
    case ChromaSiting::kTop:
      return {1, 0};
    case ChromaSiting::kBottomLeft:
      return {0, 2};
    case ChromaSiting::kBottom:
      return {1, 2};
  }
  return {0, 1};
}

DoublingFilter doubling_filter(int offset_halves, int parity) {
  // Where the luma sample lies on the chroma grid, c being 0.
  const double position = (parity - offset_halves / 2.0) / 2.0;
  DoublingFilter filter;
  filter.first = static_cast<int>(std::floor(position)) - 1;
  for (int k = 0; k < kDoublingTaps; ++k) {
    filter.taps[static_cast<std::size_t>(k)] =
        static_cast<float>(keys_cubic(filter.first + k - position));
  }
  return filter;
}

HalvingFilter halving_filter(int offset_halves) {
  const double position = offset_halves / 2.0;
  HalvingFilter filter;
  filter.first = static_cast<int>(std::ceil(position - 4.0));
  for (int k = 0; k < kHalvingTaps; ++k) {
    filter.taps[static_cast<std::size_t>(k)] =
        static_cast<float>(keys_cubic((filter.first + k - position) / 2.0) / 2.0);
  }
  return filter;
}

}  // namespace kiln::lane
