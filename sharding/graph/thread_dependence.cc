#include "sharding/graph/thread_dependence.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace kiln::sharding {
namespace {

// Inductor 2.11 gives a reduction's own loop to threads where it is this many times longer than the loops around it
// (LoopNest.max_parallel_depth in its cpp.py), and counts these in vectors. Libraries for matrix products split
// long sums too; they are held to the same rule. Revisit with every new torch.
constexpr std::int64_t kLongerThanLoops = 300;
constexpr std::int64_t kVectorLanesMax = 16;  // float32 in AVX-512: fewer lanes make more loops, and are safer
// Where a range leaves it open: the longest side that the importer gives a graph.
constexpr std::int64_t kSideMax = 8192;
// Products stop here: larger ones say no more, and this many times kLongerThanLoops does not overflow.
constexpr std::int64_t kCountMax = std::int64_t{1} << 50U;

using Sizes = std::vector<std::int64_t>;

// Each list in alphabetical order. One result for many values: as many as the input is larger than the result.
constexpr std::string_view kReductions[] = {
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "cosine_similarity", "dot", "linalg_norm",
    "linalg_vector_norm", "logsumexp", "mean", "mse_loss", "norm", "prod", "std", "std_mean", "sum", "var", "var_mean"};
// As many results as values, each made with a sum over one dimension.
constexpr std::string_view kAlongOne[] = {"_log_softmax", "_softmax", "cumprod", "cumsum", "log_softmax", "softmax"};
// The same with a sum over the last dimensions, as many as are listed.
constexpr std::string_view kAlongLast[] = {"_fused_rms_norm", "layer_norm", "native_layer_norm", "rms_norm"};
// The same over the picture and, in groups, over channels; of weights, over all of a channel.
constexpr std::string_view kOverPicture[] = {"_native_batch_norm_legit", "_weight_norm", "group_norm", "instance_norm",
                                             "native_group_norm"};
// The last dimension of their first matrix is summed over. addmm and baddbmm add to it: theirs is the second.
constexpr std::string_view kProducts[] = {"addmm", "baddbmm", "bmm", "linear", "matmul", "mm", "mv"};
// Results go where indices say, in the order in which threads get there.
constexpr std::string_view kScattered[] = {"index_add", "scatter_add", "scatter_reduce"};

static_assert(std::is_sorted(std::begin(kReductions), std::end(kReductions)));
static_assert(std::is_sorted(std::begin(kAlongOne), std::end(kAlongOne)));
static_assert(std::is_sorted(std::begin(kAlongLast), std::end(kAlongLast)));
static_assert(std::is_sorted(std::begin(kOverPicture), std::end(kOverPicture)));
static_assert(std::is_sorted(std::begin(kProducts), std::end(kProducts)));
static_assert(std::is_sorted(std::begin(kScattered), std::end(kScattered)));

template <std::size_t N>
bool is_in(const std::string_view (&list)[N], std::string_view op) {
  return std::binary_search(std::begin(list), std::end(list), op);
}

std::int64_t product(Sizes::const_iterator begin, Sizes::const_iterator end) {
  std::int64_t count = 1;
  for (auto size = begin; size != end; ++size) {
    if (*size != 0 && count > kCountMax / *size) return kCountMax;
    count *= *size;
  }
  return count;
}

std::int64_t product(const Sizes& sizes) { return product(sizes.begin(), sizes.end()); }

// One node with the sizes of its tensors.
struct SizedNode {
  const GraphNode& node;
  std::vector<Sizes> inputs;
  Sizes output;

  template <typename T>
  [[nodiscard]] const T* argument(std::string_view name) const {
    for (const NamedArgument& one : node.arguments) {
      if (one.name == name) return std::get_if<T>(&one.value);
    }
    return nullptr;
  }
};

// How many values go into one sum, and how many such sums there are.
struct Sums {
  std::int64_t length = 1;
  std::int64_t count = 1;
};

bool threads_share(const Sums& sums) {
  return sums.length > 1 && sums.count / kVectorLanesMax * kLongerThanLoops < sums.length;
}

std::optional<Sums> sums_along_one(const SizedNode& sized) {
  const auto* dim = sized.argument<std::int64_t>("dim");
  const Sizes& sizes = sized.inputs.front();
  const auto rank = static_cast<std::int64_t>(sizes.size());
  if (rank == 0) return Sums{};
  if (dim == nullptr || *dim < -rank || *dim >= rank) return std::nullopt;
  const std::int64_t length = sizes[static_cast<std::size_t>(*dim < 0 ? *dim + rank : *dim)];
  return Sums{length, product(sizes) / std::max<std::int64_t>(length, 1)};
}

std::optional<Sums> sums_along_last(const SizedNode& sized) {
  const auto* normalized = sized.argument<std::vector<IntOrSymbol>>("normalized_shape");
  const Sizes& sizes = sized.inputs.front();
  if (normalized == nullptr || normalized->size() > sizes.size()) return std::nullopt;
  const auto first = sizes.end() - static_cast<std::ptrdiff_t>(normalized->size());
  return Sums{product(first, sizes.end()), product(sizes.begin(), first)};
}

// Each picture (of weights: each channel) and group of channels has its own; where it is not said how many, one.
std::optional<Sums> sums_over_picture(const SizedNode& sized) {
  const Sizes& sizes = sized.inputs.front();
  if (sizes.size() < 2) return std::nullopt;
  const bool by_channel = sized.node.op == "aten::instance_norm" || sized.node.op == "aten::_native_batch_norm_legit";
  const auto* groups = sized.argument<std::int64_t>("num_groups");
  const std::int64_t count = by_channel ? product({sizes[0], sizes[1]}) : sizes[0] * (groups == nullptr ? 1 : *groups);
  return Sums{product(sizes) / std::max<std::int64_t>(count, 1), count};
}

// The dimensions of an operand that are not in the result are summed over. They are told apart by their sizes: one that
// passes for a dimension of the result is as long as that, so there are many sums and threads need not share any.
std::optional<Sums> sums_of_einsum(const SizedNode& sized) {
  std::int64_t longest = 1;
  for (const Sizes& sizes : sized.inputs) {
    std::int64_t length = product(sizes);
    Sizes left = sized.output;
    for (const std::int64_t size : sizes) {
      const auto kept = std::find(left.begin(), left.end(), size);
      if (kept == left.end()) continue;
      left.erase(kept);
      length /= std::max<std::int64_t>(size, 1);
    }
    longest = std::max(longest, length);
  }
  return Sums{longest, product(sized.output)};
}

std::optional<Sums> sums_of_product(const SizedNode& sized) {
  const bool adds = sized.node.op == "aten::addmm" || sized.node.op == "aten::baddbmm";
  if (sized.inputs.size() < (adds ? 3U : 2U)) return std::nullopt;
  const Sizes& first = sized.inputs[adds ? 1 : 0];
  return Sums{first.empty() ? 1 : first.back(), product(sized.output)};
}

// nullopt: cannot be told. Operators without sums have sums of one value.
std::optional<Sums> sums_of(const SizedNode& sized) {
  const std::string_view op = std::string_view(sized.node.op).substr(std::string_view("aten::").size());
  if (sized.inputs.empty()) return std::nullopt;
  if (is_in(kReductions, op)) {
    const std::int64_t results = std::max<std::int64_t>(product(sized.output), 1);
    return Sums{product(sized.inputs.front()) / results, results};
  }
  if (is_in(kAlongOne, op)) return sums_along_one(sized);
  if (is_in(kAlongLast, op)) return sums_along_last(sized);
  if (is_in(kOverPicture, op)) return sums_over_picture(sized);
  if (is_in(kProducts, op)) return sums_of_product(sized);
  return sums_of_einsum(sized);
}

bool has_sums(std::string_view op) {
  return is_in(kReductions, op) || is_in(kAlongOne, op) || is_in(kAlongLast, op) || is_in(kOverPicture, op) ||
         is_in(kProducts, op) || op == "einsum";
}

SymbolValues largest_sizes(const ExportedGraph& graph) {
  SymbolValues values;
  for (const auto& [name, range] : graph.ranges) values[name] = std::min(range.max, kSideMax);
  return values;
}

Status add_sizes(const ExportedGraph& graph, ValueId id, const SymbolValues& symbols, SizedNode& sized) {
  KILN_TRY_ASSIGN(Sizes sizes, evaluate_all(graph.value(id).tensor.sizes, symbols));
  sized.inputs.push_back(std::move(sizes));
  return {};
}

Result<SizedNode> with_sizes(const ExportedGraph& graph, const GraphNode& node, const SymbolValues& symbols) {
  SizedNode sized{node, {}, {}};
  for (const NamedArgument& argument : node.arguments) {
    if (const auto* tensor = std::get_if<TensorRef>(&argument.value)) {
      KILN_TRY(add_sizes(graph, tensor->value, symbols, sized));
    }
    if (const auto* list = std::get_if<std::vector<TensorRef>>(&argument.value)) {
      for (const TensorRef item : *list) KILN_TRY(add_sizes(graph, item.value, symbols, sized));
    }
  }
  const auto* output = node.outputs.empty() ? nullptr : std::get_if<TensorRef>(&node.outputs.front());
  if (output == nullptr) return fail(input_refused("{} gives no tensor", node.op));
  KILN_TRY_ASSIGN(sized.output, evaluate_all(graph.value(output->value).tensor.sizes, symbols));
  return sized;
}

bool shares_sums(const ExportedGraph& graph, const GraphNode& node, const SymbolValues& symbols) {
  constexpr std::string_view kNamespace = "aten::";
  if (!node.op.starts_with(kNamespace)) return false;
  const std::string_view op = std::string_view(node.op).substr(kNamespace.size());
  if (is_in(kScattered, op)) return true;
  if (op == "index_put") {
    const SizedNode put{node, {}, {}};
    const auto* adds = put.argument<bool>("accumulate");
    return adds != nullptr && *adds;
  }
  if (!has_sums(op)) return false;
  const auto sized = with_sizes(graph, node, symbols);
  if (!sized) return true;
  const auto sums = sums_of(*sized);
  return !sums || threads_share(*sums);
}

}  // namespace

const GraphNode* find_shared_sum(const ExportedGraph& graph) {
  const SymbolValues symbols = largest_sizes(graph);
  for (const GraphNode& node : graph.nodes) {
    if (shares_sums(graph, node, symbols)) return &node;
  }
  return nullptr;
}

}  // namespace kiln::sharding
