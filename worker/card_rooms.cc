#include "worker/card_rooms.h"

#include <algorithm>

namespace kiln::worker {

std::map<LaneId, CardRoom> card_rooms(const WorkerCapability& capability) {
  std::map<LaneId, CardRoom> out;
  const std::vector<LanePlace> places = lane_places(capability);
  for (std::size_t i = 0; i < capability.cards.size(); ++i) {
    const Card& card = capability.cards[i];
    const std::uint64_t cap_bytes = capability.vram_cap_bytes;
    CardRoom room;
    room.bytes = std::min(cap_bytes == 0 ? card.memory_bytes : std::min(cap_bytes, card.memory_bytes), card.free_bytes);
    room.context_bytes = (places[i].context_bytes + kBudgetGrain - 1) / kBudgetGrain * kBudgetGrain;
    room.ring_bytes = places[i].ring_bytes;
    room.activation_bytes = card_budget_bytes(card, cap_bytes);
    out[LaneId{static_cast<std::uint32_t>(i)}] = room;
  }
  return out;
}

int compiles_at_once(const WorkerCapability& capability, std::uint64_t limit_bytes) {
  const auto cards = static_cast<std::uint64_t>(capability.cards.size());
  const std::uint64_t by_cores = capability.host.cores / kCoresPerCompile;
  const std::uint64_t by_memory = limit_bytes == 0 ? cards : capability.host.memory_bytes / 2 / limit_bytes;
  const std::uint64_t most = std::min({cards, by_cores, by_memory, std::uint64_t{kCompilesAtOnceMax}});
  return static_cast<int>(std::max<std::uint64_t>(most, 1));
}

}  // namespace kiln::worker
