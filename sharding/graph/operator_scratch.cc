// What operators allocate beside their results, as LibTorch's CPU implementations do it. Operators that
// need nothing, or next to nothing, are not listed. Revisit with every new LibTorch.
#include <algorithm>

#include "sharding/graph/graph_rules.h"
#include "sharding/graph/storage_layout.h"

namespace kiln::sharding {
namespace {

// Below this many input elements LibTorch does small convolutions by itself instead of through oneDNN:
// it unfolds the input into columns first.
constexpr std::int64_t kUnfoldElementsMax = 20'480;
constexpr std::int64_t kUnfoldKernelMax = 3;

const ConcreteTensor* tensor_argument(const GraphNode& node, std::string_view name, const StorageLayout& layout) {
  for (const NamedArgument& argument : node.arguments) {
    const auto* tensor = std::get_if<TensorRef>(&argument.value);
    if (argument.name == name && tensor != nullptr) return &layout.tensors[tensor->value];
  }
  return nullptr;
}

std::uint64_t unfolded_bytes(const GraphNode& node, const StorageLayout& layout) {
  const ConcreteTensor* input = tensor_argument(node, "input", layout);
  const ConcreteTensor* weight = tensor_argument(node, "weight", layout);
  const auto* output = node.outputs.empty() ? nullptr : std::get_if<TensorRef>(&node.outputs.front());
  if (input == nullptr || weight == nullptr || output == nullptr) return 0;
  if (input->sizes.size() != 4 || weight->sizes.size() != 4 || input->dtype != ElementType::kFloat32) return 0;
  const std::int64_t kernel_height = weight->sizes[2];
  const std::int64_t kernel_width = weight->sizes[3];
  const bool grouped = weight->sizes[1] != input->sizes[1];
  const bool large = input->elements() > kUnfoldElementsMax || input->sizes[0] > 1 ||
                     (kernel_height > kUnfoldKernelMax && kernel_width > kUnfoldKernelMax);
  if (grouped || large || kernel_height * kernel_width == 1) return 0;
  const ConcreteTensor& result = layout.tensors[output->value];
  return static_cast<std::uint64_t>(input->sizes[1] * kernel_height * kernel_width * result.sizes[2] *
                                    result.sizes[3] * element_bytes(input->dtype));
}

}  // namespace

std::uint64_t scratch_bytes(const GraphNode& node, const StorageLayout& layout) {
  return node.op == "aten::conv2d" ? unfolded_bytes(node, layout) : 0;
}

}  // namespace kiln::sharding
