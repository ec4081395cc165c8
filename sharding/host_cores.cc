#include "sharding/host_cores.h"

#include <algorithm>
#include <cstddef>

namespace kiln::sharding {

CoreShares share_cores(int cores, const std::vector<CoreDemand>& lanes) {
  CoreShares out;
  std::vector<std::size_t> held;  // lanes of which it is known what they take, those that take least first
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    out.frames_per_second.push_back(lanes[i].frames_per_second);
    if (lanes[i].core_seconds_per_frame > 0.0) held.push_back(i);
  }
  if (cores <= 0) return out;
  const auto wants = [&](std::size_t i) { return lanes[i].frames_per_second * lanes[i].core_seconds_per_frame; };
  std::stable_sort(held.begin(), held.end(), [&](std::size_t a, std::size_t b) { return wants(a) < wants(b); });
  double left = cores;
  for (std::size_t k = 0; k < held.size(); ++k) {
    const std::size_t i = held[k];
    const double share = left / static_cast<double>(held.size() - k);
    if (wants(i) > share) {
      out.enough = false;
      out.frames_per_second[i] = share / lanes[i].core_seconds_per_frame;
    }
    left -= std::min(wants(i), share);
  }
  return out;
}

}  // namespace kiln::sharding
