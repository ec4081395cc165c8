#include "lane/pipelines/prompt_encoder.h"

#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

constexpr const char* kPart = "text_encoder";

struct TextInput {
  at::Tensor ids;
  at::Tensor mask;  // 1 at tokens, 0 behind them
};

Result<TextInput> make_input(std::span<const PromptTokens> prompts, c10::Device device) {
  const std::size_t tokens = prompts.empty() ? 0 : prompts.front().ids.size();
  const auto fits = [&](const PromptTokens& prompt) {
    return prompt.ids.size() == tokens && prompt.used >= 0 && prompt.used <= static_cast<std::int64_t>(tokens);
  };
  if (tokens == 0 || !std::all_of(prompts.begin(), prompts.end(), fits)) {
    return fail(make_error(ErrorCode::kInternal, "prompts of different lengths, or of none"));
  }
  TextInput input;
  input.ids = at::zeros({static_cast<std::int64_t>(prompts.size()), static_cast<std::int64_t>(tokens)}, at::kLong);
  input.mask = at::zeros(input.ids.sizes(), at::kLong);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    std::copy(prompts[i].ids.begin(), prompts[i].ids.end(), input.ids[row].mutable_data_ptr<std::int64_t>());
    input.mask[row].slice(0, 0, prompts[i].used).fill_(1);
  }
  return TextInput{input.ids.to(device), input.mask.to(device)};
}

Status check_vocabulary(std::span<const PromptTokens> prompts, std::int64_t vocabulary) {
  for (const PromptTokens& prompt : prompts) {
    for (const std::int64_t id : prompt.ids) {
      if (id >= 0 && id < vocabulary) continue;
      return fail(input_refused("the tokenizer gives token {}, the model's text encoder knows {}", id, vocabulary));
    }
  }
  return {};
}

}  // namespace

PromptEncoder::PromptEncoder(ComponentRunner embedding, ComponentRunner block, ComponentRunner norm, PartWeights weights,
                             sharding::GraphDtype dtype, std::string device)
    : embedding_(std::move(embedding)), block_(std::move(block)), norm_(std::move(norm)), weights_(std::move(weights)),
      dtype_(dtype), device_(std::move(device)) {}

Result<PromptEncoder> PromptEncoder::create(const GeneratorPackage& package, sharding::GraphDtype dtype,
                                            const std::string& device) {
  KILN_TRY_ASSIGN(auto embedding, ComponentRunner::create(package, "text_embedding", 1, 1, dtype, device));
  KILN_TRY_ASSIGN(auto block, ComponentRunner::create(package, "text_block", 2, 1, dtype, device));
  KILN_TRY_ASSIGN(auto norm, ComponentRunner::create(package, "text_norm", 1, 1, dtype, device));
  KILN_TRY_ASSIGN(auto weights, PartWeights::open(package, kPart));
  return PromptEncoder(std::move(embedding), std::move(block), std::move(norm), std::move(weights), dtype, device);
}

Result<at::Tensor> PromptEncoder::run(const ComponentRunner& runner, std::string_view component, std::int64_t index,
                                      std::vector<at::Tensor> activations) const {
  KILN_TRY_ASSIGN(const auto weights, weights_.load(component, index, dtype_, device_));
  KILN_TRY_ASSIGN(auto results, runner.run(std::move(activations), weights));
  return std::move(results.front());
}

Result<at::Tensor> PromptEncoder::encode(std::span<const PromptTokens> prompts, const StopCheck& stop) const {
  KILN_TRY(check_vocabulary(prompts, weights_.manifest().text_vocabulary));
  KILN_TRY_ASSIGN(const c10::Device device, open_device(device_));
  try {
    const c10::InferenceMode inference;
    KILN_TRY_ASSIGN(const TextInput input, make_input(prompts, device));
    KILN_TRY_ASSIGN(at::Tensor hidden, run(embedding_, "text_embedding", 0, {input.ids}));
    for (std::int64_t i = 0; i < block_.repeat(); ++i) {
      KILN_TRY(check_stop(stop));
      KILN_TRY_ASSIGN(hidden, run(block_, "text_block", i, {std::move(hidden), input.mask}));
    }
    KILN_TRY_ASSIGN(hidden, run(norm_, "text_norm", 0, {std::move(hidden)}));
    // Not a product: what an encoder makes of padding need not be a number.
    return hidden.masked_fill(input.mask.unsqueeze(2).eq(0), 0);
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("encoding the prompt"));
  }
}

}  // namespace kiln::lane
