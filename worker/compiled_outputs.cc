#include "worker/compiled_outputs.h"

namespace kiln::worker {
namespace {

using Sizes = std::vector<std::vector<std::int64_t>>;

Sizes sizes_of(const std::vector<sharding::TensorSpec>& specs, std::int64_t sharding::DimRange::*end) {
  Sizes sizes;
  for (const auto& spec : specs) {
    sizes.emplace_back();
    for (const auto& dim : spec.shape) sizes.back().push_back(dim.*end);
  }
  return sizes;
}

Result<Sizes> output_sizes(const sharding::ExportedGraph& graph, const Sizes& input_sizes) {
  KILN_TRY_ASSIGN(const sharding::SymbolValues symbols, sharding::bind_symbols(graph, input_sizes));
  Sizes sizes;
  for (const auto output : graph.outputs) {
    KILN_TRY_ASSIGN(auto one, sharding::evaluate_all(graph.value(output).tensor.sizes, symbols));
    sizes.push_back(std::move(one));
  }
  return sizes;
}

}  // namespace

Status settle_outputs(const sharding::ExportedGraph& graph, const std::vector<sharding::TensorSpec>& inputs,
                      std::vector<sharding::TensorSpec>& outputs) {
  KILN_TRY_ASSIGN(const Sizes least, output_sizes(graph, sizes_of(inputs, &sharding::DimRange::min)));
  KILN_TRY_ASSIGN(const Sizes most, output_sizes(graph, sizes_of(inputs, &sharding::DimRange::max)));
  const auto wrong = [] {
    return fail(make_error(ErrorCode::kDataLoss, "the compiled library returns something else than its graph"));
  };
  if (outputs.size() != least.size()) return wrong();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    auto& output = outputs[i];
    const bool is_static = least[i] == most[i];
    const Sizes given = sizes_of({output}, &sharding::DimRange::min);
    if (to_string(graph.value(graph.outputs[i]).tensor.dtype) != output.dtype) return wrong();
    if (is_static && given[0] != least[i]) return wrong();
    if (output.shape.size() != least[i].size() || (is_static && output.strides.size() != least[i].size())) {
      return wrong();
    }
    for (std::size_t d = 0; d < least[i].size(); ++d) output.shape[d] = {least[i][d], most[i][d]};
  }
  return {};
}

}  // namespace kiln::worker
