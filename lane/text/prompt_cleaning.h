// What WanPipeline of diffusers makes of a prompt before it becomes tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln::lane {

inline constexpr std::size_t kPromptTextBytesMax = std::size_t{1} << 20U;
// A prompt has as many passes as its character references lie in each other ("&amp;amp;lt;"), and one or two more.
inline constexpr int kCleaningPassesMax = 32;

struct CleanPrompt {
  std::string text;     // UTF-8
  std::string warning;  // why it may not be what was meant; else empty
};

// The steps of diffusers' prompt_clean: ftfy.fix_text, HTML's character references twice, white space. All of ftfy but its
// repair of text that was read in a wrong encoding: such text stays as it is, with a warning.
// Refused: what is no UTF-8, is longer than kPromptTextBytesMax, or is not done after kCleaningPassesMax.
[[nodiscard]] Result<CleanPrompt> clean_prompt(std::string_view prompt);

}  // namespace kiln::lane
