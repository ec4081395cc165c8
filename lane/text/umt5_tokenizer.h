// Text to the tokens that Wan's text encoder, UMT5, reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/text/prompt_cleaning.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace kiln::lane {

inline constexpr int kPromptTokens = 512;  // that Wan's networks are run with
inline constexpr int kPromptTokensMax = 1 << 16;
inline constexpr std::size_t kTokenizerBytesMax = std::size_t{64} << 20U;  // several times UMT5's own

// What becomes of characters that the model has no piece for.
enum class UnknownText {
  kBytes,          // their bytes, as the model was trained
  kTransformers5,  // each run of them is token 2, as T5Tokenizer of transformers 5 has it: to repeat what it gave
};

struct PromptTokens {
  std::vector<std::int64_t> ids;  // filled up with padding
  std::int64_t used = 0;          // of them, the end token included: for these the encoder's mask is 1
  std::int64_t cut = 0;           // tokens that the prompt had beyond what fits
};

// Immutable; any thread.
class Umt5Tokenizer {
 public:
  // `model`: the bytes of a spiece.model; not needed any more afterwards.
  [[nodiscard]] static Result<Umt5Tokenizer> load(std::span<const std::byte> model);
  Umt5Tokenizer(Umt5Tokenizer&&) noexcept;
  Umt5Tokenizer& operator=(Umt5Tokenizer&&) noexcept;
  ~Umt5Tokenizer();

  // `text` is UTF-8. `length`: tokens, the end token among them. Names of tokens in a text, such as "</s>", are text.
  [[nodiscard]] Result<PromptTokens> encode(std::string_view text, int length = kPromptTokens,
                                            UnknownText unknown = UnknownText::kBytes) const;

 private:
  explicit Umt5Tokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> pieces);
  std::unique_ptr<sentencepiece::SentencePieceProcessor> pieces_;
};

}  // namespace kiln::lane
