// Where one lane runs, and how much of its host it may use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sharding/ring_sizes.h"

namespace kiln::worker {

// Threads of one encoder beside a card. A software encoder's speed does not grow with its threads for long: several with
// a few each are faster than one with all, and what one writes depends on their number.
inline constexpr int kEncoderThreadsMax = 4;
// Frames of each wait in memory.
inline constexpr int kEncodersMax = sharding::kChannelsMax;

struct LanePlace {
  std::string device = "cpu";  // as the lane names it: with one card visible, that is always cuda:0
  std::string card_uuid;       // the one card that it sees; empty: it sees none
  std::vector<int> cores;      // that it and its children run on; empty: all that the worker may use
  int threads = 1;
  int encoder_threads = 1;     // of one encoder
  int encoders = 1;            // that work side by side, each on a piece of a segment
  double memory_fraction = 1.0;      // of the card's memory: what LibTorch's allocator may have
  std::uint64_t context_bytes = 0;   // of the card's memory: what the lane takes before it does anything
  std::uint64_t ring_bytes = 0;      // of the card's memory: what the buffers of the frame loop may have; 0: anything
};

}  // namespace kiln::worker
