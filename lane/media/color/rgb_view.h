// Float RGB images: rows of interleaved R, G, B (height x width x 3), nominally 0 … 1.
#pragma once

#include <cstddef>

namespace kiln::lane {

// Borrowed; the caller keeps the pixels alive for the call.
struct RgbView {
  float* data = nullptr;
  std::size_t row_floats = 0;  // from one row to the next; 3 * width where rows touch

  [[nodiscard]] float* row(int y) const { return data + static_cast<std::size_t>(y) * row_floats; }
};

struct ConstRgbView {
  const float* data = nullptr;
  std::size_t row_floats = 0;

  ConstRgbView(const float* pixels, std::size_t row_stride)
      : data(pixels), row_floats(row_stride) {}
  ConstRgbView(RgbView view)
      : data(view.data), row_floats(view.row_floats) {}  // NOLINT: as T* to const T*
  [[nodiscard]] const float* row(int y) const {
    return data + static_cast<std::size_t>(y) * row_floats;
  }
};

// Rows [first, last) of the frame that a call writes.
struct RowRange {
  int first = 0;
  int last = 0;
};

}  // namespace kiln::lane
