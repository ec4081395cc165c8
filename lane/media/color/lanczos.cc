#include "lane/media/color/lanczos.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/check.h"

namespace kiln::lane {
namespace {

constexpr int kSideMax = 65'536;

double sinc(double x) {
  if (std::abs(x) < 1e-9) return 1.0;
  const double angle = std::numbers::pi * x;
  return std::sin(angle) / angle;
}

double lanczos3(double x) {
  return std::abs(x) < kLanczosLobes ? sinc(x) * sinc(x / kLanczosLobes) : 0.0;
}

double stretch_of(int input_size, int output_size) {
  return std::max(1.0, static_cast<double>(input_size) / output_size);
}

}  // namespace

int lanczos3_support(int input_size, int output_size) {
  return static_cast<int>(std::ceil(kLanczosLobes * stretch_of(input_size, output_size)));
}

ResampleTaps lanczos3_taps(int input_size, int output_size) {
  const double stretch = stretch_of(input_size, output_size);
  ResampleTaps taps;
  taps.count = 2 * lanczos3_support(input_size, output_size);
  std::vector<double> weights(static_cast<std::size_t>(taps.count));
  for (int i = 0; i < output_size; ++i) {
    const double centre = (i + 0.5) * input_size / output_size - 0.5;
    const int first = static_cast<int>(std::floor(centre)) - taps.count / 2 + 1;
    for (int k = 0; k < taps.count; ++k) {
      weights[static_cast<std::size_t>(k)] = lanczos3((first + k - centre) / stretch);
    }
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    taps.first.push_back(first);
    for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  }
  return taps;
}

Result<LanczosResampler> LanczosResampler::create(int input_width, int input_height,
                                                  int output_width, int output_height) {
  const auto [least, most] = std::minmax({input_width, input_height, output_width, output_height});
  if (least <= 0 || most > kSideMax) {
    return fail(input_refused("resampling {}x{} to {}x{} is not handled: sides must be 1 to {}",
                              input_width, input_height, output_width, output_height, kSideMax));
  }
  LanczosResampler resampler;
  resampler.input_width_ = input_width;
  resampler.input_height_ = input_height;
  resampler.output_width_ = output_width;
  resampler.output_height_ = output_height;
  resampler.across_ = lanczos3_taps(input_width, output_width);
  resampler.down_ = lanczos3_taps(input_height, output_height);
  return resampler;
}

// Down first: whole input rows are blended, so nothing is shared between output rows.
void LanczosResampler::blend_input_rows(ConstRgbView input, int y, float* out) const {
  const auto count = 3 * static_cast<std::size_t>(input_width_);
  const int first = down_.first[static_cast<std::size_t>(y)];
  float* __restrict blended = out;
  for (int k = 0; k < down_.count; ++k) {
    const float weight = down_.weights[static_cast<std::size_t>(y * down_.count + k)];
    const float* __restrict row = input.row(std::clamp(first + k, 0, input_height_ - 1));
    if (k == 0) {
      for (std::size_t i = 0; i < count; ++i) blended[i] = row[i] * weight;
    } else {
      for (std::size_t i = 0; i < count; ++i) blended[i] += row[i] * weight;
    }
  }
}

// `padded` may be read at pixel across_.first[0] .. across_.first.back() + across_.count - 1.
void LanczosResampler::resample_row(const float* padded, float* out) const {
  const auto taps = static_cast<std::size_t>(across_.count);
  const float* weights = across_.weights.data();
  for (int x = 0; x < output_width_; ++x) {
    const float* pixel = padded + std::ptrdiff_t{3} * across_.first[static_cast<std::size_t>(x)];
    float red = 0.0F;
    float green = 0.0F;
    float blue = 0.0F;
    for (std::size_t k = 0; k < taps; ++k) {
      red += pixel[3 * k] * weights[k];
      green += pixel[3 * k + 1] * weights[k];
      blue += pixel[3 * k + 2] * weights[k];
    }
    out[0] = red;
    out[1] = green;
    out[2] = blue;
    out += 3;
    weights += taps;
  }
}

void LanczosResampler::resample(ConstRgbView input, RgbView output, RowRange rows) const {
  KILN_CHECK(0 <= rows.first && rows.first <= rows.last && rows.last <= output_height_,
             "rows {} to {} of {}", rows.first, rows.last, output_height_);
  const auto pad =
      static_cast<std::size_t>(across_.count);  // pixels; more than any tap reaches out
  const auto width = static_cast<std::size_t>(input_width_);
  std::vector<float> blended(3 * (width + 2 * pad));
  float* const pixels = blended.data() + 3 * pad;
  for (int y = rows.first; y < rows.last; ++y) {
    blend_input_rows(input, y, pixels);
    for (std::size_t i = 0; i < 3 * pad; ++i) {
      blended[i] = pixels[i % 3];
      pixels[3 * width + i] = pixels[3 * (width - 1) + i % 3];
    }
    resample_row(pixels, output.row(y));
  }
}

}  // namespace kiln::lane
