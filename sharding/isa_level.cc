#include "sharding/isa_level.h"

#include <cstdint>

namespace kiln::sharding {
namespace {

constexpr std::uint32_t bit(unsigned index) { return 1U << index; }
constexpr bool has_all(std::uint64_t word, std::uint64_t mask) { return (word & mask) == mask; }

// The x86-64-v3 and -v4 lists of the System V ABI supplement.
constexpr std::uint32_t kV3Leaf1 = bit(12) /*fma*/ | bit(22) /*movbe*/ | bit(27) /*osxsave*/ |
                                   bit(28) /*avx*/ | bit(29) /*f16c*/;
constexpr std::uint32_t kV3Leaf7 = bit(3) /*bmi1*/ | bit(5) /*avx2*/ | bit(8) /*bmi2*/;
constexpr std::uint32_t kV3Extended1 = bit(5);  // lzcnt
constexpr std::uint32_t kV4Leaf7 = bit(16) /*f*/ | bit(17) /*dq*/ | bit(28) /*cd*/ | bit(30) /*bw*/ |
                                   bit(31) /*vl*/;
constexpr std::uint64_t kAvxState = 0x6;      // XMM and YMM halves
constexpr std::uint64_t kAvx512State = 0xe6;  // and opmask, ZMM halves, ZMM16-31

}  // namespace

std::string_view to_string(IsaLevel level) {
  switch (level) {
    case IsaLevel::kNone: return "none";
    case IsaLevel::kAvx2: return "avx2";
    case IsaLevel::kAvx512: return "avx512";
  }
  return "none";
}

std::string_view gcc_march(IsaLevel level) {
  switch (level) {
    case IsaLevel::kNone: return "x86-64";
    case IsaLevel::kAvx2: return "x86-64-v3";
    case IsaLevel::kAvx512: return "x86-64-v4";
  }
  return "x86-64";
}

Result<IsaLevel> isa_level_from_string(std::string_view name) {
  for (const IsaLevel level : {IsaLevel::kNone, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
    if (name == to_string(level)) return level;
  }
  return fail(make_error(ErrorCode::kInvalidArgument,
                         "unknown instruction-set level '{}'; the levels are none, avx2, avx512", name));
}

IsaLevel isa_level_of(const CpuidWords& words) {
  if (!has_all(words.leaf1_ecx, kV3Leaf1) || !has_all(words.leaf7_ebx, kV3Leaf7) ||
      !has_all(words.extended1_ecx, kV3Extended1) || !has_all(words.xcr0, kAvxState)) {
    return IsaLevel::kNone;
  }
  const bool v4 = has_all(words.leaf7_ebx, kV4Leaf7) && has_all(words.xcr0, kAvx512State);
  return v4 ? IsaLevel::kAvx512 : IsaLevel::kAvx2;
}

}  // namespace kiln::sharding
