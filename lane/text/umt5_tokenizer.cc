#include "lane/text/umt5_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

namespace kiln::lane {
namespace {

using sentencepiece::SentencePieceProcessor;

// What transformers 5 takes for every T5 model's unknown token; UMT5's is 3, and its 2 the start of a text.
constexpr int kTransformersUnknown = 2;

std::vector<int> without_bytes(const SentencePieceProcessor& pieces, const std::vector<int>& ids) {
  std::vector<int> kept;
  bool in_run = false;
  for (const int id : ids) {
    const bool byte = pieces.IsByte(id);
    if (!byte) kept.push_back(id);
    if (byte && !in_run) kept.push_back(kTransformersUnknown);
    in_run = byte;
  }
  return kept;
}

}  // namespace

Umt5Tokenizer::Umt5Tokenizer(std::unique_ptr<SentencePieceProcessor> pieces) : pieces_(std::move(pieces)) {}
Umt5Tokenizer::Umt5Tokenizer(Umt5Tokenizer&&) noexcept = default;
Umt5Tokenizer& Umt5Tokenizer::operator=(Umt5Tokenizer&&) noexcept = default;
Umt5Tokenizer::~Umt5Tokenizer() = default;

Result<Umt5Tokenizer> Umt5Tokenizer::load(std::span<const std::byte> model) {
  if (model.empty() || model.size() > kTokenizerBytesMax) {
    return fail(input_refused("tokenizer: {} bytes; from 1 to {} are read", model.size(), kTokenizerBytesMax));
  }
  auto pieces = std::make_unique<SentencePieceProcessor>();
  const auto loaded = pieces->LoadFromSerializedProto({reinterpret_cast<const char*>(model.data()), model.size()});
  if (!loaded.ok()) return fail(input_refused("tokenizer: no sentencepiece model ({})", loaded.ToString()));
  if (pieces->pad_id() < 0 || pieces->eos_id() < 0) {
    return fail(input_refused("tokenizer: the model has no token for {}", pieces->pad_id() < 0 ? "padding" : "the end"));
  }
  return Umt5Tokenizer(std::move(pieces));
}

Result<PromptTokens> Umt5Tokenizer::encode(std::string_view text, int length, UnknownText unknown) const {
  if (text.size() > kPromptTextBytesMax) {
    return fail(make_error(ErrorCode::kInvalidArgument, "a prompt of {} bytes: at most {}", text.size(), kPromptTextBytesMax));
  }
  if (length < 1 || length > kPromptTokensMax) {
    return fail(make_error(ErrorCode::kInvalidArgument, "a prompt of {} tokens: from 1 to {}", length, kPromptTokensMax));
  }
  std::vector<int> ids;
  const auto encoded = pieces_->Encode(text, &ids);
  if (!encoded.ok()) return fail(make_error(ErrorCode::kInternal, "tokenizing the prompt: {}", encoded.ToString()));
  if (unknown == UnknownText::kTransformers5) ids = without_bytes(*pieces_, ids);
  const std::size_t kept = std::min(ids.size(), static_cast<std::size_t>(length) - 1);
  PromptTokens tokens{{ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(kept)}, 0, 0};
  tokens.ids.push_back(pieces_->eos_id());
  tokens.used = static_cast<std::int64_t>(tokens.ids.size());
  tokens.cut = static_cast<std::int64_t>(ids.size() - kept);
  tokens.ids.resize(static_cast<std::size_t>(length), pieces_->pad_id());
  return tokens;
}

}  // namespace kiln::lane
