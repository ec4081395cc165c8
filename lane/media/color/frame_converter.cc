#include "lane/media/color/frame_converter.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "lane/media/color/chroma_halver.h"
#include "lane/media/color/interleave.h"
#include "lane/media/color/padded_row.h"

namespace kiln::lane {
namespace {

constexpr int kSideMax = 65'536;

// Gray has no chroma: a tag for a system with constant luminance does not matter to it.
Result<SignalMatrix> matrix_for(PixelFormat format, ColorMatrix matrix) {
  if (format.is_rgb()) return SignalMatrix{};
  if (format.layout == PixelLayout::kGray && !signal_matrix(matrix)) {
    return signal_matrix(ColorMatrix::kBt709);
  }
  return signal_matrix(matrix);
}

void check_rows(RowRange rows, int height) {
  KILN_CHECK(0 <= rows.first && rows.first <= rows.last && rows.last <= height,
             "rows {} to {} of {}", rows.first, rows.last, height);
}

}  // namespace

Result<FrameConverter> FrameConverter::create(PixelFormat format, const ColorDescription& color,
                                              int width, int height, OutOfGamut out_of_gamut) {
  if (width <= 0 || height <= 0 || width > kSideMax || height > kSideMax) {
    return fail(input_refused("frames of {}x{} are not handled: sides must be 1 to {}", width,
                              height, kSideMax));
  }
  if (color.range == ColorRange::kUnspecified) {
    return fail(make_error(ErrorCode::kInternal, "colour range of {} frames was not resolved",
                           format.ffmpeg_name()));
  }
  FrameConverter converter;
  KILN_TRY_ASSIGN(converter.matrix_, matrix_for(format, color.matrix));
  converter.format_ = format;
  converter.width_ = width;
  converter.height_ = height;
  converter.out_of_gamut_ = out_of_gamut;
  converter.luma_ = luma_code_scale(color.range, format.bit_depth);
  converter.chroma_ = chroma_code_scale(color.range, format.bit_depth);
  converter.offset_ = chroma_offset(color.siting);
  return converter;
}

void FrameConverter::to_rgb(std::span<const std::byte> planes, RgbView rgb, RowRange rows) const {
  KILN_CHECK(planes.size() == frame_bytes(), "{} bytes for a frame of {}", planes.size(),
             frame_bytes());
  check_rows(rows, height_);
  if (format_.has_chroma_planes()) return yuv_to_rgb(planes, rgb, rows);
  if (format_.layout == PixelLayout::kGray) return gray_to_rgb(planes, rgb, rows);
  return format_.packed ? packed_to_rgb(planes, rgb, rows) : planar_to_rgb(planes, rgb, rows);
}

void FrameConverter::from_rgb(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const {
  KILN_CHECK(planes.size() == frame_bytes(), "{} bytes for a frame of {}", planes.size(),
             frame_bytes());
  check_rows(rows, height_);
  if (format_.layout == PixelLayout::kGray) return rgb_to_gray(rgb, planes, rows);
  if (format_.is_rgb()) {
    return format_.packed ? rgb_to_packed(rgb, planes, rows) : rgb_to_planar(rgb, planes, rows);
  }
  return format_.chroma_shift_x() == 0 ? rgb_to_full_chroma(rgb, planes, rows)
                                       : rgb_to_halved_chroma(rgb, planes, rows);
}

const std::byte* FrameConverter::row_of(std::span<const std::byte> planes, int plane,
                                        int row) const {
  return planes.data() + format_.plane_offset_bytes(plane, width_, height_) +
         static_cast<std::size_t>(row) * format_.plane_row_bytes(plane, width_);
}

std::byte* FrameConverter::row_of(std::span<std::byte> planes, int plane, int row) const {
  return planes.data() + format_.plane_offset_bytes(plane, width_, height_) +
         static_cast<std::size_t>(row) * format_.plane_row_bytes(plane, width_);
}

// Chroma of luma row y at full width. `out` has room for width + 1: halved rows are doubled whole.
void FrameConverter::chroma_row(std::span<const std::byte> planes, int plane, int y,
                                PaddedRow& halved, float* out) const {
  const int bytes = format_.bytes_per_sample();
  const auto count = static_cast<std::size_t>(format_.plane_width(plane, width_));
  float* decoded = format_.chroma_shift_x() == 0 ? out : halved.data();
  if (format_.chroma_shift_y() == 0) {
    decode_samples(row_of(planes, plane, y), bytes, count, chroma_, decoded);
  } else {
    const DoublingFilter filter = doubling_filter(offset_.down, y % 2);
    const int last = format_.plane_height(plane, height_) - 1;
    std::array<const std::byte*, kDoublingTaps> rows{};
    for (int k = 0; k < kDoublingTaps; ++k) {
      rows[static_cast<std::size_t>(k)] =
          row_of(planes, plane, std::clamp(y / 2 + filter.first + k, 0, last));
    }
    decode_blended(rows, filter.taps, bytes, count, chroma_, decoded);
  }
  if (format_.chroma_shift_x() == 0) return;
  halved.extend_edges(count);
  double_row(halved.data(), count, doubling_filter(offset_.across, 0),
             doubling_filter(offset_.across, 1), out);
}

void FrameConverter::yuv_to_rgb(std::span<const std::byte> planes, RgbView rgb,
                                RowRange rows) const {
  const auto width = static_cast<std::size_t>(width_);
  std::vector<float> luma(width);
  std::vector<float> first(width + 1);
  std::vector<float> second(width + 1);
  PaddedRow halved(width);
  for (int y = rows.first; y < rows.last; ++y) {
    decode_samples(row_of(planes, 0, y), format_.bytes_per_sample(), width, luma_, luma.data());
    chroma_row(planes, 1, y, halved, first.data());
    chroma_row(planes, 2, y, halved, second.data());
    signals_to_rgb(luma.data(), first.data(), second.data(), width, matrix_, out_of_gamut_,
                   rgb.row(y));
  }
}

void FrameConverter::packed_to_rgb(std::span<const std::byte> planes, RgbView rgb,
                                   RowRange rows) const {
  const auto count = 3 * static_cast<std::size_t>(width_);
  for (int y = rows.first; y < rows.last; ++y) {
    decode_samples(row_of(planes, 0, y), format_.bytes_per_sample(), count, luma_, rgb.row(y));
    if (out_of_gamut_ == OutOfGamut::kClamp) clamp_to_gamut({rgb.row(y), count});
  }
}

// ffmpeg's planar order is G, B, R.
void FrameConverter::planar_to_rgb(std::span<const std::byte> planes, RgbView rgb,
                                   RowRange rows) const {
  const auto width = static_cast<std::size_t>(width_);
  std::array<std::vector<float>, 3> gbr;
  for (auto& row : gbr) row.resize(width);
  for (int y = rows.first; y < rows.last; ++y) {
    for (int plane = 0; plane < 3; ++plane) {
      decode_samples(row_of(planes, plane, y), format_.bytes_per_sample(), width, luma_,
                     gbr[static_cast<std::size_t>(plane)].data());
    }
    interleave(gbr[2].data(), gbr[0].data(), gbr[1].data(), width, rgb.row(y));
    if (out_of_gamut_ == OutOfGamut::kClamp) clamp_to_gamut({rgb.row(y), 3 * width});
  }
}

void FrameConverter::gray_to_rgb(std::span<const std::byte> planes, RgbView rgb,
                                 RowRange rows) const {
  const auto width = static_cast<std::size_t>(width_);
  std::vector<float> luma(width);
  for (int y = rows.first; y < rows.last; ++y) {
    decode_samples(row_of(planes, 0, y), format_.bytes_per_sample(), width, luma_, luma.data());
    if (out_of_gamut_ == OutOfGamut::kClamp) clamp_to_gamut(luma);
    interleave(luma.data(), luma.data(), luma.data(), width, rgb.row(y));
  }
}

void FrameConverter::rgb_to_full_chroma(ConstRgbView rgb, std::span<std::byte> planes,
                                        RowRange rows) const {
  const auto width = static_cast<std::size_t>(width_);
  const int bytes = format_.bytes_per_sample();
  std::vector<float> luma(width);
  std::vector<float> first(width);
  std::vector<float> second(width);
  for (int y = rows.first; y < rows.last; ++y) {
    rgb_to_signals(rgb.row(y), width, matrix_, out_of_gamut_, luma.data(), first.data(),
                   second.data());
    encode_samples(luma.data(), width, luma_, bytes, row_of(planes, 0, y));
    encode_samples(first.data(), width, chroma_, bytes, row_of(planes, 1, y));
    encode_samples(second.data(), width, chroma_, bytes, row_of(planes, 2, y));
  }
}

void FrameConverter::rgb_to_halved_chroma(ConstRgbView rgb, std::span<std::byte> planes,
                                          RowRange rows) const {
  const int bytes = format_.bytes_per_sample();
  const auto halved_width = static_cast<std::size_t>(format_.plane_width(1, width_));
  const bool halved_down = format_.chroma_shift_y() != 0;
  ChromaHalver halver({width_, height_, matrix_, out_of_gamut_, offset_}, rgb);
  std::vector<float> chroma(halved_width);
  for (int y = rows.first; y < rows.last; ++y) {
    encode_samples(halver.luma_row(y), static_cast<std::size_t>(width_), luma_, bytes,
                   row_of(planes, 0, y));
    if (halved_down && y % 2 != 0) continue;
    for (int plane = 1; plane <= 2; ++plane) {
      const float* row = halver.halved_row(plane, y);
      if (halved_down) {
        halver.blend_down(plane, y, chroma.data());
        row = chroma.data();
      }
      encode_samples(row, halved_width, chroma_, bytes,
                     row_of(planes, plane, halved_down ? y / 2 : y));
    }
  }
}

void FrameConverter::rgb_to_packed(ConstRgbView rgb, std::span<std::byte> planes,
                                   RowRange rows) const {
  const auto count = 3 * static_cast<std::size_t>(width_);
  std::vector<float> values(count);
  for (int y = rows.first; y < rows.last; ++y) {
    std::copy_n(rgb.row(y), count, values.data());
    if (out_of_gamut_ == OutOfGamut::kClamp) clamp_to_gamut(values);
    encode_samples(values.data(), count, luma_, format_.bytes_per_sample(), row_of(planes, 0, y));
  }
}

void FrameConverter::rgb_to_planar(ConstRgbView rgb, std::span<std::byte> planes,
                                   RowRange rows) const {
  const auto width = static_cast<std::size_t>(width_);
  std::array<std::vector<float>, 3> gbr;
  for (auto& row : gbr) row.resize(width);
  for (int y = rows.first; y < rows.last; ++y) {
    deinterleave(rgb.row(y), width, gbr[2].data(), gbr[0].data(), gbr[1].data());
    for (int plane = 0; plane < 3; ++plane) {
      std::vector<float>& values = gbr[static_cast<std::size_t>(plane)];
      if (out_of_gamut_ == OutOfGamut::kClamp) clamp_to_gamut(values);
      encode_samples(values.data(), width, luma_, format_.bytes_per_sample(),
                     row_of(planes, plane, y));
    }
  }
}

void FrameConverter::rgb_to_gray(ConstRgbView rgb, std::span<std::byte> planes,
                                 RowRange rows) const {
  const auto width = static_cast<std::size_t>(width_);
  std::vector<float> luma(width);
  for (int y = rows.first; y < rows.last; ++y) {
    rgb_to_luma(rgb.row(y), width, matrix_, out_of_gamut_, luma.data());
    encode_samples(luma.data(), width, luma_, format_.bytes_per_sample(), row_of(planes, 0, y));
  }
}

}  // namespace kiln::lane
