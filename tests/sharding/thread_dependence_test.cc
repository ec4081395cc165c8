#include "sharding/graph/thread_dependence.h"

#include <gtest/gtest.h>

#include <ostream>

namespace kiln::sharding {
namespace {

constexpr std::int64_t kOpen = -1;  // s0, 4 to 8192

using Sizes = std::vector<std::int64_t>;

struct Row {
  const char* name;
  const char* op;
  std::vector<Sizes> inputs;
  Sizes output;
  std::vector<NamedArgument> more;
  bool shared;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

ValueId add_value(ExportedGraph& graph, const Sizes& sizes) {
  GraphValue value;
  for (const std::int64_t size : sizes) {
    Expression expression = Expression::integer(size);
    if (size == kOpen) {
      expression.kind = ExpressionKind::kSymbol;
      expression.symbol = "s0";
    }
    value.tensor.sizes.push_back(expression);
  }
  graph.values.push_back(value);
  return static_cast<ValueId>(graph.values.size() - 1);
}

ExportedGraph graph_of(const Row& row) {
  ExportedGraph graph;
  graph.ranges["s0"] = {4, 8192};
  GraphNode node;
  node.op = std::string("aten::") + row.op;
  std::vector<TensorRef> tensors;
  for (const Sizes& sizes : row.inputs) tensors.push_back({add_value(graph, sizes)});
  if (node.op == "aten::einsum") node.arguments.push_back({"tensors", tensors});
  else for (const TensorRef tensor : tensors) node.arguments.push_back({"tensor", tensor});
  node.arguments.insert(node.arguments.end(), row.more.begin(), row.more.end());
  node.outputs.push_back(TensorRef{add_value(graph, row.output)});
  graph.nodes.push_back(node);
  return graph;
}

class SharedSumTest : public testing::TestWithParam<Row> {};

TEST_P(SharedSumTest, IsFoundWhereItIsLongAndTheyAreFew) {
  const ExportedGraph graph = graph_of(GetParam());
  EXPECT_EQ(find_shared_sum(graph), GetParam().shared ? &graph.nodes.front() : nullptr);
}

const NamedArgument kLastDim{"dim", std::int64_t{-1}};

INSTANTIATE_TEST_SUITE_P(
    Operators, SharedSumTest,
    testing::Values(
        Row{"MeanOverAnyPicture", "mean", {{1, 64, kOpen, kOpen}}, {1, 64}, {}, true},
        Row{"MeanOverOnePicture", "mean", {{1, 16, 184, 320}}, {1, 16}, {}, true},
        Row{"PoolToOneValue", "adaptive_avg_pool2d", {{1, 180, kOpen, kOpen}}, {1, 180, 1, 1}, {}, true},
        Row{"MeanOverChannels", "mean", {{1, 64, kOpen, kOpen}}, {1, 1, kOpen, kOpen}, {}, false},
        Row{"MeanOverRows", "mean", {{1, 64, kOpen, kOpen}}, {1, 64, kOpen, 1}, {}, false},
        Row{"VarianceOverPicture", "var_mean", {{1, 4, kOpen, kOpen}}, {1, 4, 1, 1}, {}, true},
        Row{"NormOfTokens", "linalg_vector_norm", {{1, 6, 30, kOpen, kOpen}}, {1, 6, 30, 1, 1}, {}, true},
        Row{"NormInWindows", "linalg_vector_norm", {{1, 920, 4, 4, 64}}, {1, 920, 4, 4, 1}, {}, false},
        Row{"SoftmaxInWindows", "softmax", {{920, 2, 64, 64}}, {920, 2, 64, 64}, {kLastDim}, false},
        Row{"SoftmaxOverTokens", "softmax", {{1, 64, 65536}}, {1, 64, 65536}, {kLastDim}, true},
        Row{"SoftmaxWithoutDimension", "softmax", {{920, 64}}, {920, 64}, {}, true},
        Row{"SoftmaxOfNoDimension", "softmax", {{920, 64}}, {920, 64}, {{"dim", std::int64_t{7}}}, true},
        Row{"LayerNormOfChannels", "layer_norm", {{1, kOpen, kOpen, 180}}, {1, kOpen, kOpen, 180},
            {{"normalized_shape", std::vector<IntOrSymbol>{std::int64_t{180}}}}, false},
        Row{"LayerNormOfPicture", "layer_norm", {{1, 64, 128, 128}}, {1, 64, 128, 128},
            {{"normalized_shape", std::vector<IntOrSymbol>{std::int64_t{64}, std::int64_t{128}, std::int64_t{128}}}},
            true},
        Row{"GroupNorm", "group_norm", {{1, 64, kOpen, kOpen}}, {1, 64, kOpen, kOpen},
            {{"num_groups", std::int64_t{4}}}, true},
        Row{"InstanceNorm", "instance_norm", {{1, 64, kOpen, kOpen}}, {1, 64, kOpen, kOpen}, {}, true},
        Row{"BatchNormThatLearntBefore", "batch_norm", {{1, 64, kOpen, kOpen}}, {1, 64, kOpen, kOpen}, {}, false},
        Row{"ProductOverTokens", "matmul", {{2, 16, 65536}, {2, 65536, 16}}, {2, 16, 16}, {}, true},
        Row{"ProductInWindows", "bmm", {{1840, 64, 64}, {1840, 64, 8}}, {1840, 64, 8}, {}, false},
        Row{"ProductThatIsAdded", "addmm", {{16}, {16, 65536}, {65536, 16}}, {16, 16}, {}, true},
        Row{"LinearOfPixels", "linear", {{1, kOpen, 180}, {360, 180}}, {1, kOpen, 360}, {}, false},
        Row{"EinsumInWindows", "einsum", {{920, 4, 64, 4}, {920, 4, 64, 4}}, {920, 4, 64, 64}, {}, false},
        Row{"EinsumOverTokens", "einsum", {{1, 65536, 16}, {1, 65536, 24}}, {1, 16, 24}, {}, true},
        Row{"Convolution", "conv2d", {{1, 64, kOpen, kOpen}, {3, 64, 3, 3}}, {1, 3, kOpen, kOpen}, {}, false},
        Row{"Largest", "amax", {{1, 64, kOpen, kOpen}}, {1, 64}, {}, false},
        Row{"WeightNorm", "_weight_norm", {{64, 64, 3, 3}, {64, 1, 1, 1}}, {64, 64, 3, 3}, {}, false},
        Row{"ScatterAdd", "scatter_add", {{64}, {64}, {64}}, {64}, {}, true},
        Row{"IndexPut", "index_put", {{64}, {64}}, {64}, {{"accumulate", false}}, false},
        Row{"IndexPutThatAdds", "index_put", {{64}, {64}}, {64}, {{"accumulate", true}}, true}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(SharedSumTest, SizesThatCannotBeToldCountAsShared) {
  ExportedGraph graph = graph_of({"", "mean", {{1, 64, kOpen, kOpen}}, {1, 1, kOpen, kOpen}, {}, false});
  EXPECT_EQ(find_shared_sum(graph), nullptr);
  graph.ranges.clear();
  EXPECT_NE(find_shared_sum(graph), nullptr);
}

TEST(SharedSumTest, HugeSizesDoNotOverflow) {
  const std::int64_t huge = kDimensionMax;
  const ExportedGraph graph = graph_of({"", "mean", {{huge, huge, huge, huge}}, {1, 1, 1, 1}, {}, true});
  EXPECT_NE(find_shared_sum(graph), nullptr);
}

}  // namespace
}  // namespace kiln::sharding
