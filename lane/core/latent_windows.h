// The overlapping windows in which a clip's latents are decoded where the whole is too large, as diffusers lays them. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

struct DecodeTiles {
  std::int64_t size = 256;    // pixels of a side
  std::int64_t stride = 192;  // from one to the next; what is beyond it is blended with the next
};

// Of one side, in latents. Windows at the end are shorter.
struct LatentWindow {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  bool operator==(const LatentWindow&) const = default;
};

struct LatentWindows {
  std::vector<LatentWindow> rows;
  std::vector<LatentWindow> columns;
  std::int64_t stride_pixels = 0;  // of each window so much is kept
  std::int64_t blend_pixels = 0;   // of its beginning so much is blended with the end of the one before

  [[nodiscard]] bool whole() const { return rows.size() == 1 && columns.size() == 1; }
};

// `height` and `width` of the latents; `stride_space`: pixels of a latent's side. One window where all fits into one.
[[nodiscard]] Result<LatentWindows> lay_latent_windows(const DecodeTiles& tiles, std::int64_t height, std::int64_t width,
                                                       std::int64_t stride_space);

}  // namespace kiln::lane
