// What a lane counted on that it would hold on its card, and what it held. Both protocols carry it.
#pragma once

#include <cstdint>

namespace kiln::net {

struct CardMemory {  // since the lane was started; all 0: of a lane of the CPU
  std::uint64_t predicted_bytes = 0;  // of the device, all parts together
  std::uint64_t context_bytes = 0;    // those parts: the process itself …
  std::uint64_t held_bytes = 0;       // … weights, rings, what a frame is put together in …
  std::uint64_t activation_bytes = 0; // … and one run of the network
  std::uint64_t allocated_peak_bytes = 0;  // of LibTorch's allocator: handed out …
  std::uint64_t reserved_peak_bytes = 0;   // … and had of the driver
  std::uint64_t used_bytes = 0;            // of the whole card, by everybody, at the segment's end
  bool operator==(const CardMemory&) const = default;
};

}  // namespace kiln::net
