#include "sharding/graph/storage_layout.h"

#include <algorithm>
#include <variant>

#include "sharding/graph/graph_rules.h"
#include "sharding/graph/operator_table.h"

namespace kiln::sharding {
namespace {

// Products of two 64-bit numbers fit.
__extension__ typedef __int128 Wide;

// Bytes of one tensor beyond any machine; keeps sums of them far from overflow.
constexpr std::int64_t kStorageBytesMax = std::int64_t{1} << 44U;

template <typename T>
const T* find_kind(const GraphNode& node) {
  for (const NamedArgument& argument : node.arguments) {
    if (const auto* value = std::get_if<T>(&argument.value)) return value;
  }
  return nullptr;
}

// Strides of memory in the given order of dimensions, innermost last.
bool strides_follow(const ConcreteTensor& tensor, const std::vector<std::size_t>& order) {
  std::int64_t expected = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    const std::size_t d = order[i];
    if (tensor.sizes[d] != 1 && tensor.strides[d] != expected) return false;
    expected *= std::max<std::int64_t>(tensor.sizes[d], 1);
  }
  return true;
}

bool is_laid_out(const ConcreteTensor& tensor, MemoryFormat format) {
  switch (format) {
    case MemoryFormat::kPreserve: return true;
    case MemoryFormat::kChannelsLast:
      return tensor.sizes.size() == 4 && strides_follow(tensor, {0, 2, 3, 1});
    case MemoryFormat::kChannelsLast3d:
      return tensor.sizes.size() == 5 && strides_follow(tensor, {0, 2, 3, 4, 1});
    case MemoryFormat::kContiguous: break;
  }
  std::vector<std::size_t> order(tensor.sizes.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  return strides_follow(tensor, order);
}

// For operators that copy only when they must.
bool gives_view(const GraphNode& node, const ConcreteTensor& source, const ConcreteTensor& result) {
  const MemoryFormat* format = find_kind<MemoryFormat>(node);
  if (node.op == "aten::contiguous") {
    return is_laid_out(source, format != nullptr ? *format : MemoryFormat::kContiguous);
  }
  if (node.op == "aten::to" || node.op == "aten::type_as") {
    const bool same_layout = format == nullptr || is_laid_out(source, *format);
    return source.dtype == result.dtype && same_layout;
  }
  return can_view(source, result.sizes);
}

Result<ConcreteTensor> concrete(const GraphValue& value, const SymbolValues& symbols) {
  ConcreteTensor tensor;
  tensor.dtype = value.tensor.dtype;
  KILN_TRY_ASSIGN(tensor.sizes, evaluate_all(value.tensor.sizes, symbols));
  KILN_TRY_ASSIGN(tensor.strides, evaluate_all(value.tensor.strides, symbols));
  Wide last = 0;
  Wide elements = 1;
  for (std::size_t d = 0; d < tensor.sizes.size(); ++d) {
    elements *= tensor.sizes[d];
    if (tensor.sizes[d] > 0) last += static_cast<Wide>(tensor.sizes[d] - 1) * tensor.strides[d];
    if (elements > kStorageBytesMax || last > kStorageBytesMax) {
      return fail(input_refused("value '{}' would take more than {} bytes", value.name, kStorageBytesMax));
    }
  }
  return tensor;
}

void share(const NodeOutput& output, ValueId root, std::vector<ValueId>& roots) {
  if (const auto* tensor = std::get_if<TensorRef>(&output)) roots[tensor->value] = root;
  if (const auto* list = std::get_if<std::vector<TensorRef>>(&output)) {
    for (const TensorRef item : *list) roots[item.value] = root;
  }
}

bool shares(const GraphNode& node, const StorageLayout& layout, TensorRef source) {
  const OperatorTraits* traits = find_operator(node.op);
  if (traits == nullptr || node.outputs.empty()) return false;
  if (traits->storage == Storage::kView || traits->storage == Storage::kInPlace) return true;
  const auto* result = std::get_if<TensorRef>(&node.outputs.front());
  return traits->storage == Storage::kMaybeView && result != nullptr &&
         gives_view(node, layout.tensors[source.value], layout.tensors[result->value]);
}

}  // namespace

std::int64_t ConcreteTensor::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes) count *= size;
  return count;
}

std::uint64_t ConcreteTensor::storage_bytes() const {
  if (elements() == 0) return 0;
  std::int64_t last = 0;
  for (std::size_t d = 0; d < sizes.size(); ++d) last += (sizes[d] - 1) * strides[d];
  return static_cast<std::uint64_t>((last + 1) * element_bytes(dtype));
}

bool can_view(const ConcreteTensor& tensor, const std::vector<std::int64_t>& sizes) {
  if (tensor.elements() == 0) return true;
  std::size_t next = sizes.size();
  if (tensor.sizes.empty()) return std::all_of(sizes.begin(), sizes.end(), [](auto s) { return s == 1; });
  // From the inside outwards: each run of dimensions that lie behind each other in memory must be cut
  // into a whole number of the new dimensions.
  std::int64_t run_stride = tensor.strides.back();
  std::int64_t old_run = 1;
  std::int64_t new_run = 1;
  for (std::size_t d = tensor.sizes.size(); d-- > 0;) {
    old_run *= tensor.sizes[d];
    const bool run_ends =
        d == 0 || (tensor.sizes[d - 1] != 1 && tensor.strides[d - 1] != old_run * run_stride);
    if (!run_ends) continue;
    while (next > 0 && (new_run < old_run || sizes[next - 1] == 1)) new_run *= sizes[--next];
    if (new_run != old_run) return false;
    if (d > 0) run_stride = tensor.strides[d - 1];
    old_run = new_run = 1;
  }
  return next == 0;
}

Result<StorageLayout> lay_out(const ExportedGraph& graph, const SymbolValues& symbols) {
  StorageLayout layout;
  layout.tensors.resize(graph.values.size());
  layout.roots.resize(graph.values.size());
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    layout.roots[id] = id;
    if (graph.values[id].kind != ValueKind::kTensor) continue;
    KILN_TRY_ASSIGN(layout.tensors[id], concrete(graph.values[id], symbols));
  }
  for (const GraphNode& node : graph.nodes) {
    const TensorRef* source = first_tensor(node);
    if (source == nullptr || !shares(node, layout, *source)) continue;
    for (const NodeOutput& output : node.outputs) share(output, layout.roots[source->value], layout.roots);
  }
  return layout;
}

}  // namespace kiln::sharding
