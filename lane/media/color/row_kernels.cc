#include "lane/media/color/row_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "lane/media/color/interleave.h"

// Rows never overlap: __restrict lets the compiler vectorise without checking.

namespace kiln::lane {
namespace {

static_assert(std::endian::native == std::endian::little, "samples of 2 bytes are little endian");

// Written so that it is one minps and one maxps, and NaN becomes 0.
float clamped(float value, float high) {
  const float low_clamped = value > 0.0F ? value : 0.0F;
  return low_clamped < high ? low_clamped : high;
}

// Frames are byte buffers; samples of 2 bytes need not be aligned.
template <typename Sample>
float sample_at(const std::byte* row, std::size_t i) {
  Sample sample;
  std::memcpy(&sample, row + i * sizeof(Sample), sizeof(Sample));
  return static_cast<float>(sample);
}

template <typename Sample>
void decode(const std::byte* __restrict row, std::size_t count, float offset, float factor,
            float* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = (sample_at<Sample>(row, i) - offset) * factor;
}

template <typename Sample>
void decode_four(std::span<const std::byte* const, kDoublingTaps> rows,
                 std::span<const float, kDoublingTaps> weights, std::size_t count, float offset,
                 float factor, float* __restrict out) {
  const std::byte* __restrict a = rows[0];
  const std::byte* __restrict b = rows[1];
  const std::byte* __restrict c = rows[2];
  const std::byte* __restrict d = rows[3];
  const float wa = weights[0];
  const float wb = weights[1];
  const float wc = weights[2];
  const float wd = weights[3];
  for (std::size_t i = 0; i < count; ++i) {
    const float code = sample_at<Sample>(a, i) * wa + sample_at<Sample>(b, i) * wb +
                       sample_at<Sample>(c, i) * wc + sample_at<Sample>(d, i) * wd;
    out[i] = (code - offset) * factor;
  }
}

template <typename Sample>
void encode(const float* __restrict signals, std::size_t count, CodeScale scale,
            std::byte* __restrict row) {
  const float rounding_offset = scale.offset + 0.5F;
  for (std::size_t i = 0; i < count; ++i) {
    // Truncation of what is not negative rounds down: halves were added before.
    const float code = clamped(signals[i] * scale.scale + rounding_offset, scale.code_max + 0.5F);
    const auto sample = static_cast<Sample>(static_cast<std::int32_t>(code));
    std::memcpy(row + i * sizeof(Sample), &sample, sizeof(Sample));
  }
}

template <OutOfGamut kGamut>
float gamut(float value) {
  return kGamut == OutOfGamut::kClamp ? clamped(value, 1.0F) : value;
}

// Pixels are worked on in blocks that stay in the nearest cache, as three rows each.
constexpr std::size_t kBlock = 128;
struct Block {
  alignas(16) float red[kBlock];
  alignas(16) float green[kBlock];
  alignas(16) float blue[kBlock];
};

template <OutOfGamut kGamut>
void to_rgb(const float* __restrict luma, const float* __restrict first,
            const float* __restrict second, std::size_t count, const SignalMatrix& matrix,
            Block& block) {
  const auto m = matrix.to_rgb;
  for (std::size_t i = 0; i < count; ++i) {
    block.red[i] = gamut<kGamut>(luma[i] + (m[0][0] * first[i] + m[0][1] * second[i]));
    block.green[i] = gamut<kGamut>(luma[i] + (m[1][0] * first[i] + m[1][1] * second[i]));
    block.blue[i] = gamut<kGamut>(luma[i] + (m[2][0] * first[i] + m[2][1] * second[i]));
  }
}

template <OutOfGamut kGamut>
void clamp_block(Block& block, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    block.red[i] = gamut<kGamut>(block.red[i]);
    block.green[i] = gamut<kGamut>(block.green[i]);
    block.blue[i] = gamut<kGamut>(block.blue[i]);
  }
}

void weigh(const Block& block, std::size_t count, const std::array<float, 3>& weights,
           float* __restrict out) {
  const auto w = weights;
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = w[0] * block.red[i] + w[1] * block.green[i] + w[2] * block.blue[i];
  }
}

void load_block(const float* rgb, std::size_t count, OutOfGamut out_of_gamut, Block& block) {
  deinterleave(rgb, count, block.red, block.green, block.blue);
  if (out_of_gamut == OutOfGamut::kClamp) clamp_block<OutOfGamut::kClamp>(block, count);
}

}  // namespace

void decode_samples(const std::byte* row, int bytes_per_sample, std::size_t count,
                    const CodeScale& scale, float* out) {
  const auto kernel = bytes_per_sample == 1 ? decode<std::uint8_t> : decode<std::uint16_t>;
  kernel(row, count, scale.offset, 1.0F / scale.scale, out);
}

void decode_blended(std::span<const std::byte* const, kDoublingTaps> rows,
                    std::span<const float, kDoublingTaps> weights, int bytes_per_sample,
                    std::size_t count, const CodeScale& scale, float* out) {
  const auto kernel =
      bytes_per_sample == 1 ? decode_four<std::uint8_t> : decode_four<std::uint16_t>;
  kernel(rows, weights, count, scale.offset, 1.0F / scale.scale, out);
}

void encode_samples(const float* signals, std::size_t count, const CodeScale& scale,
                    int bytes_per_sample, std::byte* row) {
  const auto kernel = bytes_per_sample == 1 ? encode<std::uint8_t> : encode<std::uint16_t>;
  kernel(signals, count, scale, row);
}

void double_row(const float* chroma, std::size_t count, const DoublingFilter& even,
                const DoublingFilter& odd, float* out) {
  const float* __restrict at_even = chroma + even.first;
  const float* __restrict at_odd = chroma + odd.first;
  float* __restrict doubled = out;
  const auto e = even.taps;
  const auto o = odd.taps;
  for (std::size_t i = 0; i < count; ++i) {
    doubled[2 * i] =
        at_even[i] * e[0] + at_even[i + 1] * e[1] + at_even[i + 2] * e[2] + at_even[i + 3] * e[3];
    doubled[2 * i + 1] =
        at_odd[i] * o[0] + at_odd[i + 1] * o[1] + at_odd[i + 2] * o[2] + at_odd[i + 3] * o[3];
  }
}

void halve_row(const float* luma, std::size_t count, const HalvingFilter& filter, float* out) {
  const float* __restrict at = luma + filter.first;
  float* __restrict halved = out;
  const auto w = filter.taps;
  for (std::size_t i = 0; i < count; ++i) {
    const float* __restrict s = at + 2 * i;
    halved[i] = s[0] * w[0] + s[1] * w[1] + s[2] * w[2] + s[3] * w[3] + s[4] * w[4] + s[5] * w[5] +
                s[6] * w[6] + s[7] * w[7];
  }
}

void blend_rows(std::span<const float* const, kHalvingTaps> rows,
                std::span<const float, kHalvingTaps> weights, std::size_t count, float* out) {
  float* __restrict blended = out;
  const float* const* r = rows.data();
  const float* w = weights.data();
  for (std::size_t i = 0; i < count; ++i) {
    blended[i] = r[0][i] * w[0] + r[1][i] * w[1] + r[2][i] * w[2] + r[3][i] * w[3] +
                 r[4][i] * w[4] + r[5][i] * w[5] + r[6][i] * w[6] + r[7][i] * w[7];
  }
}

void signals_to_rgb(const float* luma, const float* first, const float* second, std::size_t count,
                    const SignalMatrix& matrix, OutOfGamut out_of_gamut, float* rgb) {
  const auto kernel =
      out_of_gamut == OutOfGamut::kClamp ? to_rgb<OutOfGamut::kClamp> : to_rgb<OutOfGamut::kKeep>;
  Block block;
  for (std::size_t i = 0; i < count; i += kBlock) {
    const std::size_t size = std::min(kBlock, count - i);
    kernel(luma + i, first + i, second + i, size, matrix, block);
    interleave(block.red, block.green, block.blue, size, rgb + 3 * i);
  }
}

void rgb_to_signals(const float* rgb, std::size_t count, const SignalMatrix& matrix,
                    OutOfGamut out_of_gamut, float* luma, float* first, float* second) {
  Block block;
  for (std::size_t i = 0; i < count; i += kBlock) {
    const std::size_t size = std::min(kBlock, count - i);
    load_block(rgb + 3 * i, size, out_of_gamut, block);
    weigh(block, size, matrix.from_rgb[0], luma + i);
    weigh(block, size, matrix.from_rgb[1], first + i);
    weigh(block, size, matrix.from_rgb[2], second + i);
  }
}

void rgb_to_luma(const float* rgb, std::size_t count, const SignalMatrix& matrix,
                 OutOfGamut out_of_gamut, float* luma) {
  Block block;
  for (std::size_t i = 0; i < count; i += kBlock) {
    const std::size_t size = std::min(kBlock, count - i);
    load_block(rgb + 3 * i, size, out_of_gamut, block);
    weigh(block, size, matrix.from_rgb[0], luma + i);
  }
}

void clamp_to_gamut(std::span<float> values) {
  for (float& value : values) value = clamped(value, 1.0F);
}

}  // namespace kiln::lane
