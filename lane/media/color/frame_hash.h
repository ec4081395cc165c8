// XXH3-128 of a frame's planes as they go to the encoder: what job reports compare frames by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kiln::lane {

struct FrameHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const FrameHash&) const = default;
};

[[nodiscard]] FrameHash hash_frame(std::span<const std::byte> planes);
// 32 hexadecimal digits, as xxh128sum prints them.
[[nodiscard]] std::string to_string(FrameHash hash);

}  // namespace kiln::lane
