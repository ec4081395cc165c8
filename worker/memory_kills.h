// Whether the kernel killed for memory, as far as it counts that.
#pragma once

#include <cstdint>
#include <string_view>

namespace kiln::worker {

// Of the host and of this cgroup; only rises.
struct MemoryKills {
  std::uint64_t host = 0;
  std::uint64_t cgroup = 0;
  bool operator==(const MemoryKills&) const = default;
};
[[nodiscard]] MemoryKills read_memory_kills();
// The number behind "oom_kill " at the beginning of a line; 0: it is not there. Pure.
[[nodiscard]] std::uint64_t parse_kill_count(std::string_view text);

}  // namespace kiln::worker
