// What a clip becomes: the output's format, tags and encoder settings, the same for probe, segments and join.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"

namespace kiln::lane {

struct OutputWish {
  std::string codec;         // empty: by the output's name
  std::string output;        // the final name
  std::string pixel_format;  // ffmpeg's name; empty: the source's, or the nearest that the codec holds
  std::int64_t width = 0;
  std::int64_t height = 0;
  int quality = -1;
  std::string preset;
  int encoder_threads = 1;
  std::string encoder{};  // of cards; empty: software
};

[[nodiscard]] Result<OutputRequest> make_output_request(const ClipInfo& clip, const OutputWish& wish);

}  // namespace kiln::lane
