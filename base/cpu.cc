#include "base/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace kiln {

#if defined(__x86_64__)
namespace {

constexpr unsigned kOsxsaveBit = 1U << 27U;

std::uint64_t read_xcr0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32U) | low;
}

}  // namespace

CpuidWords read_cpuid() {
  CpuidWords words;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
    words.leaf1_ecx = ecx;
    // Without OSXSAVE the xgetbv instruction itself is illegal.
    if ((ecx & kOsxsaveBit) != 0) words.xcr0 = read_xcr0();
  }
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) words.leaf7_ebx = ebx;
  if (__get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0) words.extended1_ecx = ecx;
  return words;
}
#else
CpuidWords read_cpuid() { return {}; }
#endif

}  // namespace kiln
