// A prompt as a person wrote it to the tokens that are rendered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/text/umt5_tokenizer.h"

namespace kiln::lane {

struct ReadPrompt {
  std::string text;  // cleaned
  PromptTokens tokens;
  std::vector<std::string> warnings;  // one line each
};

// Cleans and tokenizes. Warns of text that may have been read in a wrong encoding, and of a prompt that is cut.
[[nodiscard]] Result<ReadPrompt> read_prompt(const Umt5Tokenizer& tokenizer, std::string_view prompt, int length = kPromptTokens,
                                             UnknownText unknown = UnknownText::kBytes);

// One line: text, tokens without padding, used, cut, warnings.
[[nodiscard]] std::string to_json(const ReadPrompt& prompt);

}  // namespace kiln::lane
