// A row of floats with room on both sides for the values that a filter reads beyond its ends.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "lane/media/color/chroma_filter.h"

namespace kiln::lane {

class PaddedRow {
 public:
  explicit PaddedRow(std::size_t count) : values_(count + 2 * kPad) {}

  [[nodiscard]] float* data() { return values_.data() + kPad; }
  [[nodiscard]] const float* data() const { return values_.data() + kPad; }

  // Repeats the first and the last of `count` values: that is how every edge is treated.
  void extend_edges(std::size_t count) {
    std::fill_n(values_.begin(), kPad, data()[0]);
    std::fill_n(data() + count, kPad, data()[count - 1]);
  }

 private:
  static constexpr std::size_t kPad = kChromaReach;
  std::vector<float> values_;
};

}  // namespace kiln::lane
