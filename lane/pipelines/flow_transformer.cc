#include "lane/pipelines/flow_transformer.h"

#include <ATen/ops/full.h>
#include <c10/core/InferenceMode.h>

#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kStemInputs = 3;
constexpr std::size_t kStemOutputs = 6;
constexpr std::size_t kBlockInputs = 5;

}  // namespace

FlowTransformer::FlowTransformer(const GeneratorPackage& package, ComponentRunner stem, ComponentRunner block,
                                 ComponentRunner head, sharding::GraphDtype dtype, std::string device)
    : package_(&package), stem_(std::move(stem)), block_(std::move(block)), head_(std::move(head)), dtype_(dtype),
      device_(std::move(device)) {}

Result<FlowTransformer> FlowTransformer::create(const GeneratorPackage& package, sharding::GraphDtype dtype,
                                                const std::string& device) {
  KILN_TRY_ASSIGN(auto stem, ComponentRunner::create(package, "stem", kStemInputs, kStemOutputs, dtype, device));
  KILN_TRY_ASSIGN(auto block, ComponentRunner::create(package, "block", kBlockInputs, 1, dtype, device));
  KILN_TRY_ASSIGN(auto head, ComponentRunner::create(package, "head", 2, 1, dtype, device));
  return FlowTransformer(package, std::move(stem), std::move(block), std::move(head), dtype, device);
}

Status FlowTransformer::load_expert(std::string_view weights) {
  if (expert_.name == weights) return {};
  expert_ = {};
  KILN_TRY_ASSIGN(const PartWeights part, PartWeights::open(*package_, weights));
  ExpertWeights loaded;
  KILN_TRY_ASSIGN(loaded.stem, part.load("stem", 0, dtype_, device_));
  KILN_TRY_ASSIGN(loaded.head, part.load("head", 0, dtype_, device_));
  for (std::int64_t i = 0; i < block_.repeat(); ++i) {
    KILN_TRY_ASSIGN(auto block, part.load("block", i, dtype_, device_));
    loaded.blocks.push_back(std::move(block));
  }
  loaded.name = weights;
  expert_ = std::move(loaded);
  return {};
}

Result<TransformerState> FlowTransformer::stem(const at::Tensor& latents, float timestep, const at::Tensor& text) const {
  const auto type = to_torch(dtype_);
  const at::Tensor time = at::full({latents.size(0)}, timestep, latents.options().dtype(at::kFloat));
  KILN_TRY_ASSIGN(auto results, stem_.run({latents.to(type), time, text.to(type)}, expert_.stem));
  return TransformerState{results[0], results[1], results[2], results[3], results[4], results[5]};
}

Status FlowTransformer::block(std::int64_t index, TransformerState& state) const {
  KILN_TRY_ASSIGN(auto results, block_.run({std::move(state.hidden), state.text, state.modulation, state.cosines, state.sines},
                                           expert_.blocks[static_cast<std::size_t>(index)]));
  state.hidden = std::move(results.front());
  return {};
}

Result<at::Tensor> FlowTransformer::head(const TransformerState& state, const at::Tensor& latents) const {
  const std::vector<std::int64_t>& patch = package_->manifest().patch;
  const at::Tensor grid = state.hidden.unflatten(
      1, {latents.size(2) / patch[0], latents.size(3) / patch[1], latents.size(4) / patch[2]});
  KILN_TRY_ASSIGN(auto results, head_.run({grid, state.time}, expert_.head));
  return std::move(results.front());
}

Result<at::Tensor> FlowTransformer::predict(const at::Tensor& latents, float timestep, const at::Tensor& text,
                                            const StopCheck& stop) const {
  if (expert_.name.empty()) return fail(make_error(ErrorCode::kFailedPrecondition, "no expert's weights are loaded"));
  try {
    const c10::InferenceMode inference;
    KILN_TRY_ASSIGN(TransformerState state, stem(latents, timestep, text));
    for (std::int64_t i = 0; i < block_count(); ++i) {
      KILN_TRY(check_stop(stop));
      KILN_TRY(block(i, state));
    }
    return head(state, latents);
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("predicting"));
  }
}

}  // namespace kiln::lane
