#include "lane/text/prompt_reading.h"

#include <nlohmann/json.hpp>
#include <span>

#include "lane/text/prompt_cleaning.h"

namespace kiln::lane {

Result<ReadPrompt> read_prompt(const Umt5Tokenizer& tokenizer, std::string_view prompt, int length, UnknownText unknown) {
  KILN_TRY_ASSIGN(CleanPrompt clean, clean_prompt(prompt));
  KILN_TRY_ASSIGN(PromptTokens tokens, tokenizer.encode(clean.text, length, unknown));
  ReadPrompt read{std::move(clean.text), std::move(tokens), {}};
  if (!clean.warning.empty()) read.warnings.push_back(std::move(clean.warning));
  if (read.tokens.cut > 0) {
    read.warnings.push_back(fmt::format("the prompt has {} tokens more than the {} that are read: its end is left out",
                                        read.tokens.cut, read.tokens.used));
  }
  return read;
}

std::string to_json(const ReadPrompt& prompt) {
  const auto used = std::span(prompt.tokens.ids).first(static_cast<std::size_t>(prompt.tokens.used));
  return nlohmann::json{{"text", prompt.text},
                        {"tokens", std::vector<std::int64_t>(used.begin(), used.end())},
                        {"used", prompt.tokens.used},
                        {"cut", prompt.tokens.cut},
                        {"warnings", prompt.warnings}}
      .dump();
}

}  // namespace kiln::lane
