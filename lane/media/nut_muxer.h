// Writes a NUT stream of raw video: what goes into an encoder's pipe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lane/media/pixel_format.h"
#include "lane/media/rational.h"

namespace kiln::lane {

struct NutVideo {
  PixelFormat format;
  int width = 0;
  int height = 0;
  Rational time_base;
  Rational sample_aspect{0, 1};
  Rational frame_rate;  // told to the reader, so that it guesses none; 0: not told
};

// The stream's beginning: headers of one video stream.
[[nodiscard]] std::vector<std::byte> nut_headers(const NutVideo& video);
// What precedes the bytes of a frame: `pts` >= 0 in ticks of the time base. Every frame is its own
// synchronisation point, so none depends on an earlier one.
[[nodiscard]] std::vector<std::byte> nut_frame_head(std::int64_t pts, std::uint64_t frame_bytes);

}  // namespace kiln::lane
