// A probed clip as bytes: one lane probes, every lane of the farm renders from the same description.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {

inline constexpr int kClipDescriptionVersion = 3;

// JSON. Any text decodes into a clip whose values are within bounds, or is refused.
[[nodiscard]] std::string encode_clip(const ClipInfo& clip);
[[nodiscard]] Result<ClipInfo> decode_clip(std::string_view text);

}  // namespace kiln::lane
