// How many frames may stand in the rings of a card. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kiln::sharding {

// Decoders and encoders that a lane beside a card has side by side, at most.
inline constexpr int kChannelsMax = 8;
// Frames between two stages: in host memory each is a whole frame of floats, on a card a slot of a ring.
inline constexpr std::size_t kFramesBetweenStages = 3;
// The same where there are several channels: they make up for each other.
inline constexpr std::size_t kFramesInChannel = 2;
[[nodiscard]] inline std::size_t frames_waiting(std::size_t channels) { return channels > 1 ? kFramesInChannel : kFramesBetweenStages; }

// Of what a lane may hold on its card, the part that rings may have.
[[nodiscard]] inline std::uint64_t ring_limit_bytes(std::uint64_t budget_bytes) {
  constexpr std::uint64_t kDenominator = 6;
  return std::max<std::uint64_t>(budget_bytes / kDenominator, 1);
}

struct RingSizes {
  std::size_t channels = 1;     // decoders and encoders side by side
  std::size_t waiting = 1;      // between two stages of each
  std::uint64_t bytes_max = 0;  // of the card's memory; 0: anything
};

struct RingSlots {
  std::size_t channels = 0;  // that can be at work at once
  std::size_t sources = 0;
  std::size_t outputs = 0;
  // Each channel may keep one while its encoder reads it, and there are still enough for the frames that come.
  [[nodiscard]] bool outputs_can_wait() const { return outputs > 2 * channels; }
  bool operator==(const RingSlots&) const = default;
};

// As many as keep all channels busy, or as have room, sources up to half of it. With fewer sources than a channel's frames in sight it
// would wait for ever: of large frames in little room fewer channels are at work.
[[nodiscard]] inline RingSlots ring_slots(const RingSizes& sizes, std::size_t frames_in_sight, std::uint64_t source_bytes,
                                          std::uint64_t output_bytes) {
  constexpr std::size_t kOutputsMin = 2;
  const bool bounded = sizes.bytes_max > 0 && source_bytes > 0 && output_bytes > 0;
  const auto least = [&](std::size_t channels) { return channels * frames_in_sight + 1; };
  const auto fits = [&](std::size_t channels) {
    return least(channels) * source_bytes + kOutputsMin * output_bytes <= sizes.bytes_max;
  };
  RingSlots out;
  out.channels = sizes.channels;
  while (bounded && out.channels > 1 && !fits(out.channels)) --out.channels;
  out.sources = out.channels * (sizes.waiting + 2 + frames_in_sight);
  out.outputs = std::max(out.channels * (sizes.waiting + 2) + 1, kOutputsMin);  // waiting, being written, being read
  if (!bounded) return out;
  out.sources = std::clamp<std::size_t>(sizes.bytes_max / 2 / source_bytes, std::min(least(out.channels), out.sources), out.sources);
  const std::uint64_t taken = out.sources * source_bytes;
  const std::uint64_t room = sizes.bytes_max > taken ? (sizes.bytes_max - taken) / output_bytes : 0;
  out.outputs = std::clamp<std::size_t>(room, kOutputsMin, out.outputs);
  return out;
}

}  // namespace kiln::sharding
