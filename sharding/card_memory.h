// What a lane will hold on its card at its peak: the process itself, what is made once, and one run of the network. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/frame_memory.h"
#include "sharding/ring_sizes.h"

namespace kiln::sharding {

// One thing of a run that takes memory, or gives back what `taken` (index of the step that took it) had.
struct MemoryStep {
  std::uint64_t bytes = 0;  // 0: it gives back
  std::size_t taken = 0;
};

// Buffers that are made once for clips that look alike.
struct CardHoldings {
  std::vector<std::uint64_t> weights_bytes;  // of each tensor
  std::size_t sources = 0;                   // slots of the ring of sources
  std::uint64_t planes_bytes = 0;            // of each: as they come from the decoder …
  std::uint64_t rgb_bytes = 0;               // … and as the network takes them
  std::size_t outputs = 0;
  std::uint64_t output_bytes = 0;
  std::uint64_t resampled_bytes = 0;         // 0: the network's size is the output's
  std::uint64_t scratch_bytes = 0;           // between the passes of resampling
  std::uint64_t assembled_bytes = 0;         // what a frame is put together in; 0: it is rendered whole
  std::uint64_t tile_bytes = 0;              // what is cut out of the frame for one run; 0: likewise
};

// A clip as a card sees it.
struct CardClip {
  CardFrame frame;
  std::uint64_t source_planes_bytes = 0;  // of one frame, as its decoder gives it …
  std::uint64_t output_planes_bytes = 0;  // … and as its encoder takes it
  int frames_in_sight = 1;                // of the network's run
};

[[nodiscard]] RingSlots card_ring_slots(const CardClip& clip, const RingSizes& sizes);
// Weights and what tiles take apart.
[[nodiscard]] CardHoldings card_holdings(const CardClip& clip, const RingSlots& slots);
// `height`, `width`: of one run, in tiles of which a frame is rendered.
void add_tiles(const CardClip& clip, int height, int width, CardHoldings& holdings);

struct CardEstimate {
  std::uint64_t context_bytes = 0;     // as it was given
  std::uint64_t held_bytes = 0;
  std::uint64_t activation_bytes = 0;  // with the frame that tiles are put together in
  [[nodiscard]] std::uint64_t total() const { return context_bytes + held_bytes + activation_bytes; }
};

// Of a run of which only the peak is known: as many of the largest buffer of `walk` (the same graph's steps) as it has room for, and the
// rest. Compiled code writes fewer buffers than the graph has, of the same sizes.
[[nodiscard]] std::vector<MemoryStep> steps_of_peak(std::uint64_t peak_bytes, const std::vector<MemoryStep>& walk);

// `steps`: of one run; what is not given back is the result, which goes when the frame is made. What LibTorch's allocator has of the
// driver for it, by sharding/allocator_model.h: what is made once and what the runs take are of different streams.
[[nodiscard]] CardEstimate estimate_card(std::uint64_t context_bytes, const CardHoldings& holdings,
                                         const std::vector<MemoryStep>& steps);
// The parts of that.
[[nodiscard]] std::uint64_t held_on_card(const CardHoldings& holdings);
[[nodiscard]] std::uint64_t run_on_card(const CardHoldings& holdings, const std::vector<MemoryStep>& steps);

}  // namespace kiln::sharding
