// What cgroups, of version 2 or 1, allow this process: a limit of any group above its own holds for it as well. Groups above
// the root of a container are not to be seen from inside.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::worker {

struct CgroupLimits {
  unsigned cores = 0;        // the least quota, in whole cores, rounded up; 0: none
  std::string cores_group;   // whose it is: the folder of its files
  std::uint64_t memory_bytes = 0;            // the least limit; 0: none
  std::uint64_t memory_available_bytes = 0;  // where there is one: what the group leaves that leaves least
};

// `root` stands before /proc and before the folders that /proc names: tests have a system of their own.
[[nodiscard]] CgroupLimits probe_cgroups(const std::string& root = {});

}  // namespace kiln::worker
