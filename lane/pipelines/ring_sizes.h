// How many frames may stand in the rings of a card. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kiln::lane {

struct RingSizes {
  std::size_t channels = 1;     // decoders and encoders side by side
  std::size_t waiting = 1;      // between two stages of each
  std::uint64_t bytes_max = 0;  // of the card's memory; 0: anything
};

struct RingSlots {
  std::size_t sources = 0;
  std::size_t outputs = 0;
  bool operator==(const RingSlots&) const = default;
};

// As many as keep all channels busy, or as have room: each ring has half of it. With fewer outputs than channels encoders wait for
// each other; with fewer sources than a channel's frames in sight they would wait for ever.
[[nodiscard]] inline RingSlots ring_slots(const RingSizes& sizes, std::size_t frames_in_sight, std::uint64_t source_bytes,
                                          std::uint64_t output_bytes) {
  constexpr std::size_t kOutputsMin = 2;
  const auto fit = [&](std::size_t wanted, std::size_t least, std::uint64_t bytes) {
    if (sizes.bytes_max == 0 || bytes == 0) return wanted;
    const auto room = static_cast<std::size_t>(sizes.bytes_max / 2 / bytes);
    return std::clamp(room, std::min(least, wanted), wanted);
  };
  RingSlots out;
  out.sources = fit(sizes.channels * (sizes.waiting + 2 + frames_in_sight), sizes.channels * frames_in_sight + 1, source_bytes);
  out.outputs = fit(sizes.channels * (sizes.waiting + 1) + 1, kOutputsMin, output_bytes);
  return out;
}

}  // namespace kiln::lane
