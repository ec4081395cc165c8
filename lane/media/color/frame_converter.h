// One frame: planes of code values <-> float RGB.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "lane/media/color/chroma_filter.h"
#include "lane/media/color/color_matrix.h"
#include "lane/media/color/rgb_view.h"
#include "lane/media/color/row_kernels.h"
#include "lane/media/color_description.h"
#include "lane/media/pixel_format.h"

namespace kiln::lane {

class PaddedRow;

// Immutable after create(): threads may share one and convert different rows at the same time. Each
// row's result is the same bits however the frame is cut. Buffers hold whole frames, also when a
// call converts some rows only: chroma looks at neighbouring rows.
class FrameConverter {
 public:
  // `color` must be resolved (resolve_for_conversion()): range, and for luma/chroma formats matrix
  // and siting, are known. Refuses matrices that signal_matrix() refuses, and empty frames.
  [[nodiscard]] static Result<FrameConverter> create(PixelFormat format,
                                                     const ColorDescription& color, int width,
                                                     int height,
                                                     OutOfGamut out_of_gamut = OutOfGamut::kClamp);

  // planes.size() must be frame_bytes(). Luma row y and the chroma that it needs become RGB row y.
  void to_rgb(std::span<const std::byte> planes, RgbView rgb, RowRange rows) const;
  void to_rgb(std::span<const std::byte> planes, RgbView rgb) const {
    to_rgb(planes, rgb, {0, height_});
  }

  // Writes luma rows [first, last) and, where chroma is halved down, the chroma rows c with first
  // <= 2c < last.
  void from_rgb(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const;
  void from_rgb(ConstRgbView rgb, std::span<std::byte> planes) const {
    from_rgb(rgb, planes, {0, height_});
  }

  [[nodiscard]] std::size_t frame_bytes() const { return format_.frame_bytes(width_, height_); }
  [[nodiscard]] std::size_t rgb_floats() const {
    return 3 * static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
  }
  [[nodiscard]] PixelFormat format() const { return format_; }
  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  // What it computes with; kernels on other devices take the same.
  [[nodiscard]] const SignalMatrix& matrix() const { return matrix_; }
  [[nodiscard]] const CodeScale& luma_scale() const { return luma_; }
  [[nodiscard]] const CodeScale& chroma_scale() const { return chroma_; }
  [[nodiscard]] ChromaOffset siting_offset() const { return offset_; }

 private:
  FrameConverter() = default;

  [[nodiscard]] const std::byte* row_of(std::span<const std::byte> planes, int plane,
                                        int row) const;
  [[nodiscard]] std::byte* row_of(std::span<std::byte> planes, int plane, int row) const;
  void chroma_row(std::span<const std::byte> planes, int plane, int y, PaddedRow& halved,
                  float* out) const;
  void yuv_to_rgb(std::span<const std::byte> planes, RgbView rgb, RowRange rows) const;
  void packed_to_rgb(std::span<const std::byte> planes, RgbView rgb, RowRange rows) const;
  void planar_to_rgb(std::span<const std::byte> planes, RgbView rgb, RowRange rows) const;
  void gray_to_rgb(std::span<const std::byte> planes, RgbView rgb, RowRange rows) const;
  void rgb_to_full_chroma(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const;
  void rgb_to_halved_chroma(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const;
  void rgb_to_packed(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const;
  void rgb_to_planar(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const;
  void rgb_to_gray(ConstRgbView rgb, std::span<std::byte> planes, RowRange rows) const;

  PixelFormat format_;
  int width_ = 0;
  int height_ = 0;
  OutOfGamut out_of_gamut_ = OutOfGamut::kClamp;
  SignalMatrix matrix_;
  CodeScale luma_;
  CodeScale chroma_;
  ChromaOffset offset_;
};

}  // namespace kiln::lane
