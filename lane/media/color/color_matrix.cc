#include "lane/media/color/color_matrix.h"

#include <optional>

namespace kiln::lane {
namespace {

struct LumaWeights {
  double red;
  double blue;
};

std::optional<LumaWeights> luma_weights(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt709:
      return LumaWeights{0.2126, 0.0722};
    case ColorMatrix::kFcc:
      return LumaWeights{0.30, 0.11};
    case ColorMatrix::kBt470bg:
    case ColorMatrix::kSmpte170m:
      return LumaWeights{0.299, 0.114};
    case ColorMatrix::kSmpte240m:
      return LumaWeights{0.212, 0.087};
    case ColorMatrix::kBt2020Ncl:
      return LumaWeights{0.2627, 0.0593};
    default:
      return std::nullopt;
  }
}

// Cb = (B - Y) / (2 (1 - Kb)), Cr = (R - Y) / (2 (1 - Kr)), and the inverse. H.273 equations 38
// to 40.
SignalMatrix from_luma_weights(LumaWeights weights) {
  const double red = weights.red;
  const double blue = weights.blue;
  const double green = 1.0 - red - blue;
  const double cb = 2.0 * (1.0 - blue);
  const double cr = 2.0 * (1.0 - red);
  const auto f = [](double value) { return static_cast<float>(value); };
  SignalMatrix matrix;
  matrix.from_rgb = {{{f(red), f(green), f(blue)},
                      {f(-red / cb), f(-green / cb), f(0.5)},
                      {f(0.5), f(-green / cr), f(-blue / cr)}}};
  matrix.to_rgb = {{{0.0F, f(cr)}, {f(-cb * blue / green), f(-cr * red / green)}, {f(cb), 0.0F}}};
  return matrix;
}

// H.273 equations 47 to 53: first chroma Cg, second Co.
SignalMatrix ycgco() {
  SignalMatrix matrix;
  matrix.from_rgb = {{{0.25F, 0.5F, 0.25F}, {-0.25F, 0.5F, -0.25F}, {0.5F, 0.0F, -0.5F}}};
  matrix.to_rgb = {{{-1.0F, 1.0F}, {1.0F, 0.0F}, {-1.0F, -1.0F}}};
  return matrix;
}

float power_of_two(int exponent) {
  return static_cast<float>(1 << exponent);
}

}  // namespace

Result<SignalMatrix> signal_matrix(ColorMatrix matrix) {
  if (const auto weights = luma_weights(matrix)) return from_luma_weights(*weights);
  if (matrix == ColorMatrix::kYcgco) return ycgco();
  return fail(input_refused(
      "colour matrix \"{}\" is not handled: BT.601, BT.709, BT.2020 (non-constant luminance), "
      "FCC, SMPTE 240M and YCgCo are; convert the clip to one of them first",
      to_ffmpeg(matrix)));
}

CodeScale luma_code_scale(ColorRange range, int bit_depth) {
  const float code_max = power_of_two(bit_depth) - 1.0F;
  if (range == ColorRange::kFull) return {code_max, 0.0F, code_max};
  const float unit = power_of_two(bit_depth - 8);
  return {219.0F * unit, 16.0F * unit, code_max};
}

CodeScale chroma_code_scale(ColorRange range, int bit_depth) {
  const float code_max = power_of_two(bit_depth) - 1.0F;
  if (range == ColorRange::kFull) return {code_max, power_of_two(bit_depth - 1), code_max};
  const float unit = power_of_two(bit_depth - 8);
  return {224.0F * unit, 128.0F * unit, code_max};
}

}  // namespace kiln::lane
