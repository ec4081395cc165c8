#include "sharding/card_memory.h"

#include <algorithm>
#include <utility>

#include "sharding/allocator_model.h"

namespace kiln::sharding {
namespace {

// In the order in which a lane makes them.
std::uint64_t made_once(const CardHoldings& holdings) {
  AllocatorModel memory;
  const auto take = [&](std::uint64_t bytes) { (void)memory.take(bytes); };
  for (const std::uint64_t bytes : holdings.weights_bytes) take(bytes);
  for (std::size_t i = 0; i < holdings.sources; ++i) {
    take(holdings.planes_bytes);
    take(holdings.rgb_bytes);
  }
  for (std::size_t i = 0; i < holdings.outputs; ++i) take(holdings.output_bytes);
  take(holdings.resampled_bytes);
  take(holdings.scratch_bytes);
  return memory.reserved_bytes();
}

void run(AllocatorModel& memory, std::uint64_t tile_bytes, const std::vector<MemoryStep>& steps) {
  const AllocatorModel::Block tile = memory.take(tile_bytes);
  std::vector<AllocatorModel::Block> taken(steps.size(), 0);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].bytes > 0) {
      taken[i] = memory.take(steps[i].bytes);
    } else {
      memory.give_back(std::exchange(taken[steps[i].taken], 0));
    }
  }
  memory.give_back(tile);
  for (const AllocatorModel::Block block : taken) memory.give_back(block);
}

}  // namespace

std::vector<MemoryStep> steps_of_peak(std::uint64_t peak_bytes, const std::vector<MemoryStep>& walk) {
  std::uint64_t largest = 0;
  for (const MemoryStep& step : walk) largest = std::max(largest, step.bytes);
  std::vector<MemoryStep> steps;
  std::uint64_t left = peak_bytes;
  for (; largest > 0 && left >= largest; left -= largest) steps.push_back({largest, 0});
  if (left > 0) steps.push_back({left, 0});
  return steps;
}

CardEstimate estimate_card(std::uint64_t context_bytes, const CardHoldings& holdings, const std::vector<MemoryStep>& steps) {
  constexpr int kRuns = 2;  // the second finds what the first left
  CardEstimate out;
  out.context_bytes = context_bytes;
  out.held_bytes = made_once(holdings);
  AllocatorModel memory;
  (void)memory.take(holdings.assembled_bytes);
  for (int i = 0; i < kRuns; ++i) run(memory, holdings.tile_bytes, steps);
  out.activation_bytes = memory.reserved_bytes();
  return out;
}

}  // namespace kiln::sharding
