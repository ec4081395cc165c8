#include "sharding/speed_guess.h"

#include <algorithm>

namespace kiln::sharding {

void guess_speeds(std::vector<LaneFit>& lanes) {
  double rates = 0.0;
  int measured = 0;
  double per_rate = 0.0;  // frames a second for one of the rate, of all that have rendered
  int rendered = 0;
  for (const LaneFit& lane : lanes) {
    if (lane.matrix_rate <= 0.0) continue;
    rates += lane.matrix_rate;
    ++measured;
    if (lane.frames_per_second <= 0.0) continue;
    per_rate += lane.frames_per_second / lane.matrix_rate;
    ++rendered;
  }
  if (measured == 0) return;
  const bool nobody = std::all_of(lanes.begin(), lanes.end(), [](const LaneFit& lane) { return lane.frames_per_second <= 0.0; });
  double factor = 0.0;
  if (nobody) factor = measured / rates;
  if (rendered > 0) factor = per_rate / rendered;
  if (factor <= 0.0) return;
  for (LaneFit& lane : lanes) {
    if (lane.frames_per_second <= 0.0 && lane.matrix_rate > 0.0) lane.frames_per_second = lane.matrix_rate * factor;
  }
}

}  // namespace kiln::sharding
