// A first guess at the speed of lanes that have rendered nothing yet, by how fast their cards are. Pure.
#pragma once

#include <vector>

#include "sharding/clip_placement.h"

namespace kiln::sharding {

// Fills in `frames_per_second` of lanes whose speed is not known and whose card was measured: by the lanes that have rendered, where
// some of those have cards that were measured; where nobody has, in proportion to the cards alone, about 1 each. Others stay as they are.
void guess_speeds(std::vector<LaneFit>& lanes);

}  // namespace kiln::sharding
