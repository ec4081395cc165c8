// Takes the place of LibTorch's CPU allocator and counts living bytes.
#pragma once

#include <cstdint>

namespace kiln::lane {

// Installs itself for the rest of the process at first use.
void install_counting_allocator();
// Starts a new peak from what lives now.
void restart_peak();
// Highest living bytes since restart_peak(), above what lived then.
[[nodiscard]] std::uint64_t peak_bytes();

}  // namespace kiln::lane
