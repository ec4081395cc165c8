// Which of a card's own encoders work, found out by encoding a few frames with each: a build of ffmpeg lists them on hosts that have
// no such card, and cards of one family differ in what they encode.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/media_tools.h"

namespace kiln::lane {

// "h264_nvenc yuv420p": an encoder, and a pixel format that it takes.
inline constexpr std::chrono::seconds kEncoderTrialDeadline{15};  // of each

// Every hardware encoder that this ffmpeg lists, in every format that outputs have there. The card is the first that is visible.
[[nodiscard]] std::vector<std::string> try_encoders(const MediaTools& tools);
// The same, out of `kept` where that is of the same ffmpeg and the same `identity` (card and driver); else written there.
[[nodiscard]] std::vector<std::string> encoders_of_card(const MediaTools& tools, const std::string& kept, const std::string& identity);

}  // namespace kiln::lane
