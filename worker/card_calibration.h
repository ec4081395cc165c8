// How fast the cards of this host are, and what a lane's process takes of them: measured once for a card, a driver and a torch by
// `kiln-lane --calibrate`, and kept in the worker's state folder.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/card.h"

namespace kiln::worker {

struct CalibrationOptions {
  std::string lane_program;
  std::string torch_folder;  // empty: as the program was linked
  std::string folder;        // where answers are kept
  std::string driver;        // an answer is of one driver …
  std::string torch;         // … and of one torch
  std::chrono::milliseconds deadline{60'000};  // of all cards together: they are measured side by side
};

// What was measured on one card, as it is kept.
struct Calibration {
  net::CardSpeed speed;
  std::uint64_t context_bytes = 0;
};
// `free_before_bytes`: of the card, before the process was there. kDataLoss: this is no line of `kiln-lane --calibrate`.
[[nodiscard]] Result<Calibration> parse_calibration(std::string_view line, std::uint64_t free_before_bytes);

// Fills in what is kept, and what is measured now. A card that cannot be measured stays as it is, and `said` gets a line.
void calibrate_cards(const CalibrationOptions& options, std::vector<Card>& cards, std::vector<std::string>& said);

}  // namespace kiln::worker
