#include "lane/media/color/chroma_halver.h"

#include <algorithm>

namespace kiln::lane {

ChromaHalver::ChromaHalver(const Setup& setup, ConstRgbView rgb)
    : setup_(setup),
      rgb_(rgb),
      across_(halving_filter(setup.offset.across)),
      down_(halving_filter(setup.offset.down)),
      full_{PaddedRow(static_cast<std::size_t>(setup.width)),
            PaddedRow(static_cast<std::size_t>(setup.width))} {
  const auto width = static_cast<std::size_t>(setup.width);
  for (Kept& row : rows_) {
    row.luma.resize(width);
    for (auto& halved : row.halved) halved.resize((width + 1) / 2);
  }
}

ChromaHalver::Kept& ChromaHalver::kept(int y) {
  Kept& row = rows_[static_cast<std::size_t>(y % kKeptRows)];
  if (row.y == y) return row;
  const auto width = static_cast<std::size_t>(setup_.width);
  rgb_to_signals(rgb_.row(y), width, setup_.matrix, setup_.out_of_gamut, row.luma.data(),
                 full_[0].data(), full_[1].data());
  for (std::size_t i = 0; i < full_.size(); ++i) {
    full_[i].extend_edges(width);
    halve_row(full_[i].data(), (width + 1) / 2, across_, row.halved[i].data());
  }
  row.y = y;
  return row;
}

void ChromaHalver::blend_down(int plane, int y, float* out) {
  std::array<const float*, kHalvingTaps> rows{};
  for (int k = 0; k < kHalvingTaps; ++k) {
    const int source = std::clamp(y + down_.first + k, 0, setup_.height - 1);
    rows[static_cast<std::size_t>(k)] = halved_row(plane, source);
  }
  blend_rows(rows, down_.taps, (static_cast<std::size_t>(setup_.width) + 1) / 2, out);
}

}  // namespace kiln::lane
