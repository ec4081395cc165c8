// PURE. What an output cannot say about its picture, in words for people.
#pragma once

#include <string>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"

namespace kiln::lane {

[[nodiscard]] std::vector<std::string> image_losses(const ClipInfo& clip);
// Of outputs in a container.
[[nodiscard]] std::vector<std::string> picture_losses(const ClipInfo& clip, const EncoderSettings& settings);

}  // namespace kiln::lane
