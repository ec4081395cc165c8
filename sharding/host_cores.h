// What the cores of a host leave of its lanes' speeds. Pure. Lanes of one host decode and encode on the same cores, on which
// those without a card compute as well: several fast cards may be more than their host can feed.
#pragma once

#include <vector>

namespace kiln::sharding {

// One lane at work.
struct CoreDemand {
  double frames_per_second = 0.0;       // with all the cores that it could use
  double core_seconds_per_frame = 0.0;  // that it takes of its host; 0: not known, and then it is not held back
};

struct CoreShares {
  std::vector<double> frames_per_second;  // of each lane, in the same order
  bool enough = true;                     // every lane gets what it could use
};

// Each lane gets what it could use, or an equal part of what the others leave: as a system shares its cores among programs.
// The order of lanes changes nothing. `cores` 0: not known, and then nobody is held back.
[[nodiscard]] CoreShares share_cores(int cores, const std::vector<CoreDemand>& lanes);

}  // namespace kiln::sharding
