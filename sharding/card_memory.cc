#include "sharding/card_memory.h"

#include <algorithm>
#include <utility>

#include "sharding/allocator_model.h"

namespace kiln::sharding {
namespace {

std::uint64_t rgb_bytes(const CardFrame& frame, int height, int width) {
  return 3 * static_cast<std::uint64_t>(height) * static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(frame.value_bytes);
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

RingSlots card_ring_slots(const CardClip& clip, const RingSizes& sizes) {
  const std::uint64_t source_bytes = clip.source_planes_bytes + rgb_bytes(clip.frame, clip.frame.height, clip.frame.width);
  return ring_slots(sizes, static_cast<std::size_t>(clip.frames_in_sight), source_bytes, clip.output_planes_bytes);
}

CardHoldings card_holdings(const CardClip& clip, const RingSlots& slots) {
  CardHoldings out;
  out.sources = slots.sources;
  out.planes_bytes = clip.source_planes_bytes;
  out.rgb_bytes = rgb_bytes(clip.frame, clip.frame.height, clip.frame.width);
  out.outputs = slots.outputs;
  out.output_bytes = clip.output_planes_bytes;
  const std::uint64_t resampling = frame_buffer_bytes(clip.frame, false);
  if (resampling > 0) out.resampled_bytes = rgb_bytes(clip.frame, clip.frame.output_height, clip.frame.output_width);
  out.scratch_bytes = resampling - out.resampled_bytes;
  return out;
}

void add_tiles(const CardClip& clip, int height, int width, CardHoldings& holdings) {
  holdings.assembled_bytes = frame_buffer_bytes(clip.frame, true) - frame_buffer_bytes(clip.frame, false);
  holdings.tile_bytes = rgb_bytes(clip.frame, height, width) * static_cast<std::uint64_t>(clip.frames_in_sight);
}

std::uint64_t held_on_card(const CardHoldings& holdings) {
  AllocatorModel memory;
  const auto take = [&](std::uint64_t bytes) { (void)memory.take(bytes); };
  for (const std::uint64_t bytes : holdings.weights_bytes) take(bytes);  // in the order in which a lane makes them
  for (std::size_t i = 0; i < holdings.sources; ++i) {
    take(holdings.planes_bytes);
    take(holdings.rgb_bytes);
  }
  for (std::size_t i = 0; i < holdings.outputs; ++i) take(holdings.output_bytes);
  take(holdings.resampled_bytes);
  take(holdings.scratch_bytes);
  return memory.reserved_bytes();
}

std::uint64_t run_on_card(const CardHoldings& holdings, const std::vector<MemoryStep>& steps) {
  constexpr int kRuns = 2;  // the second finds what the first left
  AllocatorModel memory;
  (void)memory.take(holdings.assembled_bytes);
  for (int i = 0; i < kRuns; ++i) run(memory, holdings.tile_bytes, steps);
  return memory.reserved_bytes();
}

CardEstimate estimate_card(std::uint64_t context_bytes, const CardHoldings& holdings, const std::vector<MemoryStep>& steps) {
  return {context_bytes, held_on_card(holdings), run_on_card(holdings, steps)};
}

}  // namespace kiln::sharding
