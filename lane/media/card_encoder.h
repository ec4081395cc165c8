// How the encoders of cards are told what the processors' are told in other words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/media/encoder_settings.h"

namespace kiln::lane {

// Appends ffmpeg's arguments, from the codec to the key frames.
void add_card_encoder(const OutputRequest& request, int quality, int keyframe_interval, std::vector<std::string>& out);
// Its presets are other words than those of processors.
[[nodiscard]] Status check_card_encoder(const MediaTools& tools, const OutputRequest& request);

}  // namespace kiln::lane
