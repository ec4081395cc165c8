// PURE. What becomes of a source's sound in another container.
#pragma once

#include <string>
#include <string_view>

#include "lane/media/clip_info.h"
#include "lane/media/codec.h"

namespace kiln::lane {

// Whether ffmpeg's muxers write it, from 5.1 on. What is not listed may be held all the same: it is then converted.
[[nodiscard]] bool holds_sound(Container container, std::string_view codec);

// The encoder for a track, "copy", or empty where this ffmpeg can neither write nor convert it. Samples of lossless
// tracks stay as they are.
[[nodiscard]] std::string sound_coding(Container container, const SourceStream& stream, const MediaTools& tools);

}  // namespace kiln::lane
