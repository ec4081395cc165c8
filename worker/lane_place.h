// Where one lane runs, and how much of its host it may use.
#pragma once

#include <string>
#include <vector>

namespace kiln::worker {

struct LanePlace {
  std::string device = "cpu";  // as the lane names it: with one card visible, that is always cuda:0
  std::string card_uuid;       // the one card that it sees; empty: it sees none
  std::vector<int> cores;      // that it and its children run on; empty: all that the worker may use
  int threads = 1;
  int encoder_threads = 1;
};

}  // namespace kiln::worker
