// What lanes and compile children of a worker may hold of their cards together, and how many compiles its host carries. Pure.
#pragma once

#include <map>

#include "worker/core/card_ledger.h"
#include "worker/worker_identity.h"

namespace kiln::worker {

inline constexpr int kCoresPerCompile = 1;    // Python, then g++, one after the other
inline constexpr int kCompilesAtOnceMax = 8;  // of one worker; the others wait

// By lane; none: it has no card.
[[nodiscard]] std::map<LaneId, CardRoom> card_rooms(const WorkerCapability& capability);
// Each on a card of its own; `limit_bytes` of the host's memory each, and half of it for all.
[[nodiscard]] int compiles_at_once(const WorkerCapability& capability, std::uint64_t limit_bytes);

}  // namespace kiln::worker
