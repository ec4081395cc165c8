// Which encoders of their own the cards of this host have, for the ffmpeg of its lanes: `kiln-lane --try-encoders` tries each by
// encoding a few frames on the card, once for a card, its driver and an ffmpeg.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/card.h"

namespace kiln::worker {

struct EncoderSearch {
  std::string lane_program;
  std::string torch_folder;  // as of a lane; empty: as the program was linked
  std::string ffmpeg;        // as lanes are told it
  std::string folder;        // where answers are kept
  std::string driver;
  std::chrono::milliseconds deadline{120'000};
};
// One "h264_nvenc yuv420p" a line. kDataLoss: something else.
[[nodiscard]] Result<std::vector<std::string>> parse_encoders(std::string_view text);
// Fills in `encoders`. Where it cannot be told they are none, and `said` gets a line.
void find_encoders(const EncoderSearch& search, std::vector<Card>& cards, std::vector<std::string>& said);

}  // namespace kiln::worker
