// Luma rows and halved chroma of an RGB image, row by row from the top.
#pragma once

#include <array>
#include <vector>

#include "lane/media/color/chroma_filter.h"
#include "lane/media/color/color_matrix.h"
#include "lane/media/color/padded_row.h"
#include "lane/media/color/rgb_view.h"
#include "lane/media/color/row_kernels.h"

namespace kiln::lane {

// Keeps the last rows, so that each is computed once although eight of them make one chroma row.
// One thread uses it, for the rows of one call; rows may be asked for in any order within kKeptRows
// of each other.
class ChromaHalver {
 public:
  struct Setup {
    int width = 0;
    int height = 0;
    SignalMatrix matrix;
    OutOfGamut out_of_gamut = OutOfGamut::kClamp;
    ChromaOffset offset;
  };

  ChromaHalver(const Setup& setup, ConstRgbView rgb);

  // Valid until another row is asked for.
  [[nodiscard]] const float* luma_row(int y) { return kept(y).luma.data(); }
  // Chroma 1 or 2 of luma row y, halved across.
  [[nodiscard]] const float* halved_row(int plane, int y) {
    return kept(y).halved[static_cast<std::size_t>(plane - 1)].data();
  }
  // The chroma row whose first luma row is `y` (even): halved across and down.
  void blend_down(int plane, int y, float* out);

 private:
  // At least the taps of one chroma row; a power of two more than that costs nothing.
  static constexpr int kKeptRows = 16;
  static_assert(kKeptRows >= 2 * kChromaReach + 2);

  struct Kept {
    int y = -1;
    std::vector<float> luma;
    std::array<std::vector<float>, 2> halved;
  };

  Kept& kept(int y);

  Setup setup_;
  ConstRgbView rgb_;
  HalvingFilter across_;
  HalvingFilter down_;
  std::array<PaddedRow, 2> full_;
  std::array<Kept, kKeptRows> rows_;
};

}  // namespace kiln::lane
