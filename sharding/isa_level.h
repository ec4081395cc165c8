// The instruction-set levels that CPU artifacts are compiled for. A child compiles for a declared level,
// and a lane opens an artifact only if its processor has that level: both ask here.
#pragma once

#include <string_view>

#include "base/cpu.h"
#include "base/result.h"

namespace kiln::sharding {

// Ordered: a processor of one level runs code of every lower one.
enum class IsaLevel {
  kNone,    // below x86-64-v3, or not x86-64: nothing is compiled for it, graphs run uncompiled
  kAvx2,    // x86-64-v3
  kAvx512,  // x86-64-v4
};

[[nodiscard]] std::string_view to_string(IsaLevel level);          // "none", "avx2", "avx512"
[[nodiscard]] std::string_view gcc_march(IsaLevel level);          // "x86-64", "x86-64-v3", "x86-64-v4"
[[nodiscard]] Result<IsaLevel> isa_level_from_string(std::string_view name);
// The highest level whose every instruction the processor has and the operating system supports.
[[nodiscard]] IsaLevel isa_level_of(const CpuidWords& words);

}  // namespace kiln::sharding
