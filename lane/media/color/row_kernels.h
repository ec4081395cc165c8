// The loops over one row. Each output value is made by the same operations in the same order
// wherever its row is cut, and the library is compiled without fused multiply-add or a machine's
// own instructions: the bits are the same on every x86-64 machine. They are the reference for
// kernels on other devices.
#pragma once

#include <cstddef>
#include <span>

#include "lane/media/color/chroma_filter.h"
#include "lane/media/color/color_matrix.h"

namespace kiln::lane {

// What conversion does with colours outside 0 … 1.
enum class OutOfGamut {
  kClamp,  // to 0 … 1, NaN to 0: what networks are trained on, and what a display can show
  kKeep,   // blacker than black survives
};

// Code values (1 or 2 bytes each) to signals: (code - offset) / scale.
void decode_samples(const std::byte* row, int bytes_per_sample, std::size_t count,
                    const CodeScale& scale, float* out);
// Four rows of code values, weighted, to signals.
void decode_blended(std::span<const std::byte* const, kDoublingTaps> rows,
                    std::span<const float, kDoublingTaps> weights, int bytes_per_sample,
                    std::size_t count, const CodeScale& scale, float* out);
// Signals to code values: rounded to the nearest, halves up, clamped to what the depth holds.
void encode_samples(const float* signals, std::size_t count, const CodeScale& scale,
                    int bytes_per_sample, std::byte* row);

// `chroma` has kChromaReach more values on both sides; writes 2 * count values.
void double_row(const float* chroma, std::size_t count, const DoublingFilter& even,
                const DoublingFilter& odd, float* out);
// `luma` has kChromaReach more values on both sides of its own (2 * count or one less); writes
// count values.
void halve_row(const float* luma, std::size_t count, const HalvingFilter& filter, float* out);
// Eight rows, weighted.
void blend_rows(std::span<const float* const, kHalvingTaps> rows,
                std::span<const float, kHalvingTaps> weights, std::size_t count, float* out);

void signals_to_rgb(const float* luma, const float* first, const float* second, std::size_t count,
                    const SignalMatrix& matrix, OutOfGamut out_of_gamut, float* rgb);
void rgb_to_signals(const float* rgb, std::size_t count, const SignalMatrix& matrix,
                    OutOfGamut out_of_gamut, float* luma, float* first, float* second);
void rgb_to_luma(const float* rgb, std::size_t count, const SignalMatrix& matrix,
                 OutOfGamut out_of_gamut, float* luma);

void clamp_to_gamut(std::span<float> values);

}  // namespace kiln::lane
