// Memory and processor time of a process and everything it started.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace kiln::worker {

inline constexpr std::size_t kWatchedProcessesMax = 256;  // of a tree; the others are not looked at

// `root` and all that it and its children started, as far as they are still attached to them.
[[nodiscard]] std::vector<pid_t> process_tree(pid_t root);
struct TreeMemory {
  std::uint64_t resident_bytes = 0;  // the sum, shared pages counted for each; 0 when the process has ended
  bool whole = true;                 // there were fewer than kWatchedProcessesMax
};
[[nodiscard]] TreeMemory memory_of_tree(pid_t root);
// Clock ticks that they have run, those included whose end was waited for. 0 when the process has ended.
[[nodiscard]] std::uint64_t cpu_ticks_of_tree(pid_t root);

}  // namespace kiln::worker
