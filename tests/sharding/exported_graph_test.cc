#include "sharding/graph/exported_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "sharding/graph/liveness.h"
#include "tests/sharding/graph_sample.h"

namespace kiln::sharding {
namespace {

using Json = nlohmann::json;

Result<ExportedGraph> parse_damaged(const std::function<void(Json&)>& damage) {
  Json program = sample_program();
  damage(program);
  return parse_exported_graph(program.dump(), "sample");
}

Json& at(Json& program, const char* pointer) { return program[Json::json_pointer(pointer)]; }

TEST(ExportedGraphTest, ReadsWhatAnExportWrites) {
  const auto graph = parse_exported_graph(sample_program().dump(), "sample");
  ASSERT_TRUE(graph) << graph.error().message;
  ASSERT_EQ(graph->nodes.size(), 3U);
  EXPECT_EQ(graph->nodes[0].op, "aten::relu");
  EXPECT_EQ(graph->value(graph->outputs[0]).name, "neg");
  EXPECT_EQ(graph->ranges.at("s7").max, 100);
}

// What Python would evaluate, import, look up or put into generated code; each must be refused.
struct Damage {
  const char* name;
  const char* pointer;
  Json value;
};

class HostileGraphTest : public testing::TestWithParam<Damage> {};

TEST_P(HostileGraphTest, IsRefused) {
  const auto graph = parse_damaged([](Json& p) { at(p, GetParam().pointer) = GetParam().value; });
  ASSERT_FALSE(graph);
  EXPECT_EQ(exit_code(graph.error()), 65);
  EXPECT_NE(graph.error().message.find("graph sample"), std::string::npos);
  EXPECT_EQ(graph.error().message.find('\n'), std::string::npos);
}

const char* const kSize = "/graph_module/graph/tensor_values/relu/sizes/2/as_expr/expr_str";
const char* const kSpec = "/graph_module/module_call_graph/0/signature/in_spec";

INSTANTIATE_TEST_SUITE_P(
    Fields, HostileGraphTest,
    testing::Values(
        Damage{"OperatorThatReadsFiles", "/graph_module/graph/nodes/1/target", "torch.ops.aten.from_file.default"},
        Damage{"OperatorThatIsRandom", "/graph_module/graph/nodes/1/target", "torch.ops.aten.bernoulli.default"},
        Damage{"OperatorOutOfPython", "/graph_module/graph/nodes/1/target", "torch.hub.load"},
        Damage{"OperatorOfOs", "/graph_module/graph/nodes/1/target", "torch.os.system"},
        Damage{"OperatorOfAnotherLibrary", "/graph_module/graph/nodes/1/target", "torch.ops.prims.add.default"},
        Damage{"ExtensionOperator", "/graph_module/graph/nodes/1/target", "#triton:kernel"},
        Damage{"OperatorFunctionWithCode", "/graph_module/graph/nodes/1/target", "_operator.methodcaller"},
        Damage{"OverloadWithOut", "/graph_module/graph/nodes/1/target", "torch.ops.aten.sigmoid.out"},
        Damage{"InPlaceOnTheInput", "/graph_module/graph/nodes/0/target", "torch.ops.aten.relu_.default"},
        Damage{"ExpressionWithCode", kSize, "__import__('os').system('id')"},
        Damage{"ExpressionWithAttribute", kSize, "Symbol('s7').__class__"},
        Damage{"ExpressionWithLambda", kSize, "(lambda: 1)()"},
        Damage{"ExpressionWithUnknownFunction", kSize, "exec('1')"},
        Damage{"SymbolWithCode", kSize, "Symbol('s7, evaluate=__import__(1)')"},
        Damage{"SymbolWithOtherAssumption", kSize, "Symbol('s7', cls=open)"},
        Damage{"UnbackedSymbol", kSize, "Symbol('u0', integer=True)"},
        Damage{"SymbolWithHugeIndex", kSize, "Symbol('s99999999999', integer=True)"},
        Damage{"HugePower", kSize, "Pow(Integer(9), Pow(Integer(9), Integer(99999999999999999999)))"},
        Damage{"RangeNameWithCode", "/range_constraints", {{"exec('1')", {{"min_val", 0}, {"max_val", 1}}}}},
        Damage{"UnbackedRange", "/range_constraints", {{"u999999999", {{"min_val", 0}, {"max_val", 1}}}}},
        Damage{"GuardsCode", "/guards_code", {"__import__('os')"}},
        Damage{"Verifier", "/verifiers", {"os.system"}},
        Damage{"NodeNameWithCode", "/graph_module/graph/nodes/1/name", "a;import os"},
        Damage{"NodeNameKeyword", "/graph_module/graph/nodes/1/name", "lambda"},
        Damage{"NodeMetadata", "/graph_module/graph/nodes/1/metadata",
               {{"source_fn_stack", "x,torch.hub.load"}}},
        Damage{"ModuleMetadata", "/graph_module/metadata", {{"custom", "{}"}}},
        Damage{"CustomObject", "/graph_module/graph/nodes/1/inputs/0/arg",
               {{"as_custom_obj", {{"name", "x"}, {"class_fqn", "os"}}}}},
        Damage{"OperatorArgument", "/graph_module/graph/nodes/1/inputs/0/arg", {{"as_operator", "torch.load"}}},
        Damage{"GraphArgument", "/graph_module/graph/nodes/1/inputs/0/arg",
               {{"as_graph", {{"name", "g"}, {"graph", Json::object()}}}}},
        Damage{"ArgumentNameWithCode", "/graph_module/graph/nodes/1/inputs/0/name", "self=1);import os"},
        Damage{"ForwardNameWithCode", "/graph_module/module_call_graph/0/signature/forward_arg_names",
               {"x):\n import os"}},
        Damage{"TreeSpecThatImports", kSpec,
               R"([1,{"type":"collections.defaultdict","context":{"default_factory_module":"os"},"children_spec":[]}])"},
        Damage{"TreeSpecDictKeys", kSpec,
               R"([1,{"type":"builtins.dict","context":"[\"a\"]","children_spec":[{"type":null,"context":null,"children_spec":[]}]}])"},
        Damage{"TreeSpecOfAnotherProtocol", kSpec, "[2,{}]"},
        Damage{"SubmoduleName", "/graph_module/module_call_graph/0/fqn", "a.b"},
        Damage{"ConstantInput", "/graph_module/signature/input_specs/0",
               {{"tensor_constant", {{"arg", {{"name", "x"}}}, {"tensor_constant_name", "c"}}}}},
        Damage{"UnknownField", "/graph_module/graph/nodes/1/loader", "x"},
        Damage{"UnknownTopField", "/on_load", "x"},
        Damage{"OtherSchema", "/schema_version/major", 9},
        Damage{"OtherDevice", "/graph_module/graph/tensor_values/x/device/type", "meta"},
        Damage{"AbsurdSize", "/graph_module/graph/tensor_values/relu/sizes/3/as_int", std::int64_t{1} << 62U},
        Damage{"NegativeSize", "/graph_module/graph/tensor_values/relu/sizes/3/as_int", -4},
        Damage{"SizeAsText", "/graph_module/graph/tensor_values/relu/sizes/3/as_int", "16"},
        Damage{"UseBeforeDefinition", "/graph_module/graph/nodes/0/inputs/0/arg/as_tensor/name", "neg"},
        Damage{"UnknownValue", "/graph_module/graph/nodes/0/inputs/0/arg/as_tensor/name", "nowhere"},
        Damage{"MadeTwice", "/graph_module/graph/nodes/1/outputs/0/as_tensor/name", "relu"},
        Damage{"NoOutput", "/graph_module/graph/outputs", Json::array()}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(ExportedGraphTest, TruncatedTextIsRefusedEverywhere) {
  const std::string text = sample_program().dump();
  for (std::size_t length = 0; length < text.size(); length += 37) {
    EXPECT_FALSE(parse_exported_graph(std::string_view(text).substr(0, length), "sample")) << length;
  }
}

TEST(ExportedGraphTest, RepeatedKeyIsRefused) {
  std::string text = sample_program().dump();
  text.replace(text.find("\"guards_code\""), 0, R"("guards_code":["x"],)");
  EXPECT_FALSE(parse_exported_graph(text, "sample"));
}

TEST(ExportedGraphTest, DeepNestingIsRefused) {
  EXPECT_FALSE(parse_exported_graph(std::string(100'000, '['), "sample"));
}

TEST(ExportedGraphTest, SizesBindSymbolsAndAreChecked) {
  const auto graph = parse_exported_graph(sample_program().dump(), "sample");
  ASSERT_TRUE(graph);
  const auto good = bind_symbols(*graph, {{1, 3, 40, 16}});
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->at("s7"), 20);
  EXPECT_FALSE(bind_symbols(*graph, {{1, 3, 41, 16}}));   // no multiple of two
  EXPECT_FALSE(bind_symbols(*graph, {{1, 3, 14, 16}}));   // below the range
  EXPECT_FALSE(bind_symbols(*graph, {{1, 3, 202, 16}}));  // above it
  EXPECT_FALSE(bind_symbols(*graph, {{1, 4, 40, 16}}));
  EXPECT_FALSE(bind_symbols(*graph, {{3, 40, 16}}));
}

TEST(LivenessTest, ChainKeepsInputAndTwoValues) {
  const auto graph = parse_exported_graph(sample_program().dump(), "sample");
  ASSERT_TRUE(graph);
  const auto symbols = bind_symbols(*graph, {{1, 3, 40, 16}});
  const auto peak = peak_activation_bytes(*graph, *symbols, 1);
  ASSERT_TRUE(peak) << peak.error().message;
  // x lives throughout; while sigmoid is made, relu's result lives too.
  EXPECT_EQ(peak->peak_bytes, 3U * 3 * 40 * 16 * 4);
}

TEST(LivenessTest, StepsTakeEveryResultAndGiveBackWhatIsNoOutput) {
  const auto graph = parse_exported_graph(sample_program().dump(), "sample");
  ASSERT_TRUE(graph);
  const auto steps = memory_steps(*graph, *bind_symbols(*graph, {{1, 3, 40, 16}}));
  ASSERT_TRUE(steps) << steps.error().message;
  std::uint64_t now = 0;
  std::uint64_t most = 0;
  for (const MemoryStep& step : *steps) {
    now = step.bytes > 0 ? now + step.bytes : now - (*steps)[step.taken].bytes;
    most = std::max(most, now);
  }
  EXPECT_EQ(most, 2U * 3 * 40 * 16 * 4);  // as the walk says it, without the frames
  EXPECT_EQ(now, 1U * 3 * 40 * 16 * 4);   // the output
}

TEST(LivenessTest, InPlaceOperatorsAndViewsTakeNothing) {
  const auto graph = parse_damaged([](Json& p) {
    at(p, "/graph_module/graph/nodes/1/target") = "torch.ops.aten.sigmoid_.default";
    at(p, "/graph_module/graph/nodes/2/target") = "torch.ops.aten.alias.default";
  });
  ASSERT_TRUE(graph) << graph.error().message;
  const auto symbols = bind_symbols(*graph, {{1, 3, 40, 16}});
  const auto peak = peak_activation_bytes(*graph, *symbols, 1);
  ASSERT_TRUE(peak);
  EXPECT_EQ(peak->peak_bytes, 2U * 3 * 40 * 16 * 4);
}

TEST(LivenessTest, ParametersAreNotCounted) {
  const auto graph = parse_exported_graph(sample_program().dump(), "sample");
  const auto symbols = bind_symbols(*graph, {{1, 3, 40, 16}});
  const auto peak = peak_activation_bytes(*graph, *symbols, 0);
  ASSERT_TRUE(peak);
  EXPECT_EQ(peak->peak_bytes, 2U * 3 * 40 * 16 * 4);
}

TEST(LivenessTest, AbsurdSizesAreRefused) {
  const auto graph = parse_damaged([](Json& p) {
    at(p, "/graph_module/graph/tensor_values/relu/sizes/2/as_expr/expr_str") =
        "Pow(Symbol('s7', positive=True, integer=True), Integer(9))";
  });
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_FALSE(peak_activation_bytes(*graph, *bind_symbols(*graph, {{1, 3, 40, 16}}), 1));
}

}  // namespace
}  // namespace kiln::sharding
