// What the clock on the wall says. It may be set, and then jumps; deadlines use steady clocks.
#pragma once

#include <chrono>
#include <cstdint>

namespace kiln {

[[nodiscard]] inline std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace kiln
