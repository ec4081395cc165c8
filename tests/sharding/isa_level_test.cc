#include "sharding/isa_level.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

// CPUID of a processor of the Skylake server generation, as far as levels ask.
CpuidWords full() {
  CpuidWords words;
  words.leaf1_ecx = 0xfffa3203;
  words.leaf7_ebx = 0xd39ffffb;
  words.extended1_ecx = 0x00000121;
  words.xcr0 = 0xe7;
  return words;
}

TEST(IsaLevelTest, FullProcessorHasAvx512) { EXPECT_EQ(isa_level_of(full()), IsaLevel::kAvx512); }

TEST(IsaLevelTest, EveryMissingInstructionOfVersion4LowersTheLevelToAvx2) {
  for (const unsigned bit : {16U, 17U, 28U, 30U, 31U}) {
    CpuidWords words = full();
    words.leaf7_ebx &= ~(1U << bit);
    EXPECT_EQ(isa_level_of(words), IsaLevel::kAvx2) << bit;
  }
}

TEST(IsaLevelTest, EveryMissingInstructionOfVersion3LeavesNothing) {
  for (const unsigned bit : {12U, 22U, 27U, 28U, 29U}) {
    CpuidWords words = full();
    words.leaf1_ecx &= ~(1U << bit);
    EXPECT_EQ(isa_level_of(words), IsaLevel::kNone) << bit;
  }
  for (const unsigned bit : {3U, 5U, 8U}) {
    CpuidWords words = full();
    words.leaf7_ebx &= ~(1U << bit);
    EXPECT_EQ(isa_level_of(words), IsaLevel::kNone) << bit;
  }
  CpuidWords words = full();
  words.extended1_ecx = 0;
  EXPECT_EQ(isa_level_of(words), IsaLevel::kNone);
}

TEST(IsaLevelTest, RegistersThatTheSystemDoesNotSaveDoNotCount) {
  CpuidWords words = full();
  words.xcr0 = 0x7;  // a hypervisor or kernel without AVX-512 state
  EXPECT_EQ(isa_level_of(words), IsaLevel::kAvx2);
  words.xcr0 = 0x3;
  EXPECT_EQ(isa_level_of(words), IsaLevel::kNone);
}

TEST(IsaLevelTest, AnotherArchitectureHasNoLevel) { EXPECT_EQ(isa_level_of({}), IsaLevel::kNone); }

TEST(IsaLevelTest, AgreesWithTheCompilerAboutThisProcessor) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  const IsaLevel expected = __builtin_cpu_supports("x86-64-v4")   ? IsaLevel::kAvx512
                            : __builtin_cpu_supports("x86-64-v3") ? IsaLevel::kAvx2
                                                                  : IsaLevel::kNone;
  EXPECT_EQ(isa_level_of(read_cpuid()), expected);
#else
  GTEST_SKIP() << "asks g++ on x86-64";
#endif
}

TEST(IsaLevelTest, NamesRoundTripAndOthersAreRefused) {
  for (const IsaLevel level : {IsaLevel::kNone, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
    EXPECT_EQ(isa_level_from_string(to_string(level)).value(), level);
  }
  EXPECT_FALSE(isa_level_from_string("avx1024"));
}

}  // namespace
}  // namespace kiln::sharding
