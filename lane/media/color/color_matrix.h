// RGB <-> luma and chroma, and code values <-> signals. Formulas of Rec. ITU-T H.273 (07/2021),
// section 8.3; coefficients of BT.601-7 (2.5.1), BT.709-6 (3.2), BT.2020-2 (table 4, non-constant
// luminance), SMPTE ST 240, FCC 73.682. All on gamma-encoded values: no transfer function is
// applied.
#pragma once

#include <array>

#include "base/result.h"
#include "lane/media/color_description.h"

namespace kiln::lane {

// Signals: luma 0 … 1, chroma -0.5 … 0.5, R G B 0 … 1.
struct SignalMatrix {
  // luma, first and second chroma of (R, G, B)
  std::array<std::array<float, 3>, 3> from_rgb{};
  // R, G, B = luma + to_rgb[i][0] * first + to_rgb[i][1] * second: in every system that is
  // supported luma counts once
  std::array<std::array<float, 2>, 3> to_rgb{};
};

// Refuses constant luminance, ICtCp and those whose coefficients depend on the primaries.
[[nodiscard]] Result<SignalMatrix> signal_matrix(ColorMatrix matrix);

// code = signal * scale + offset. H.273 equations 20 to 37:
// limited: luma and R G B (219 E + 16) 2^(n-8), chroma (224 E + 128) 2^(n-8);
// full: luma and R G B (2^n - 1) E, chroma (2^n - 1) E + 2^(n-1).
struct CodeScale {
  float scale = 1.0F;
  float offset = 0.0F;
  float code_max = 255.0F;
};
[[nodiscard]] CodeScale luma_code_scale(ColorRange range, int bit_depth);  // also R, G, B
[[nodiscard]] CodeScale chroma_code_scale(ColorRange range, int bit_depth);

}  // namespace kiln::lane
