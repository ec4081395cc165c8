// What the processor says about itself, unjudged. sharding/isa_level.h makes a level of it.
#pragma once

#include <cstdint>

namespace kiln {

// Feature words of CPUID and the register state that the operating system saves (XCR0).
// All zero on a machine that is not x86-64.
struct CpuidWords {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t extended1_ecx = 0;  // leaf 0x80000001
  std::uint64_t xcr0 = 0;
};

[[nodiscard]] CpuidWords read_cpuid();

}  // namespace kiln
