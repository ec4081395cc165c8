// parse_exported_graph(). The JSON comes from outside and is later given to torch.export.load, which
// resolves names with getattr, evaluates strings with sympy and generates Python code from names; so
// every field is either checked here to be harmless, or must be empty, or is refused.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "sharding/graph/graph_rules.h"
#include "sharding/graph/operator_table.h"
#include "sharding/graph/program_checks.h"
#include "sharding/graph/value_table.h"

namespace kiln::sharding {
namespace {

constexpr std::size_t kTextMax = 64;

bool is_range_name(std::string_view name) {
  return name.size() <= kNameLengthMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || std::string_view("s+-*/() ").find(c) != std::string_view::npos;
         });
}

Status read_ranges(const Json& program, ExportedGraph& graph) {
  KILN_TRY_ASSIGN(const Json* ranges, member(program, "range_constraints"));
  KILN_TRY(expect_object(*ranges));
  for (const auto& [name, range] : ranges->items()) {
    if (!is_range_name(name)) return fail(input_refused("range_constraints: unknown symbol"));
    KILN_TRY(expect_keys(range, {"min_val", "max_val"}));
    SymbolRange bounds;
    KILN_TRY_ASSIGN(const Json* min, member(range, "min_val"));
    KILN_TRY_ASSIGN(const Json* max, member(range, "max_val"));
    if (!min->is_null()) { KILN_TRY_ASSIGN(bounds.min, to_integer(*min)); }
    if (!max->is_null()) { KILN_TRY_ASSIGN(bounds.max, to_integer(*max)); }
    if (is_symbol_name(name)) graph.ranges.emplace(name, bounds);  // "2*s0" repeats what s0 says
  }
  return {};
}

Result<NodeOutput> read_output(const Json& json, ValueTable& table) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  const auto define = [&](const Json& holder, const char* key, bool tensor) -> Result<ValueId> {
    KILN_TRY(expect_keys(holder, {key}));
    KILN_TRY_ASSIGN(const Json* name_json, member(holder, key));
    KILN_TRY_ASSIGN(const std::string_view name, to_text(*name_json, kNameLengthMax));
    KILN_TRY_ASSIGN(const ValueId id, table.find(name, tensor));
    KILN_TRY(table.define(id));
    return id;
  };
  if (form.first == "as_none") return NodeOutput(NoOutput{});
  if (form.first == "as_tensor") {
    KILN_TRY_ASSIGN(const ValueId id, define(*form.second, "name", true));
    return NodeOutput(TensorRef{id});
  }
  if (form.first == "as_sym_int" || form.first == "as_sym_bool") {
    KILN_TRY_ASSIGN(const ValueId id, define(*form.second, "as_name", false));
    return NodeOutput(SymbolRef{id});
  }
  if (form.first != "as_tensors") {
    return fail(input_refused("results of the kind '{}' are refused", form.first.substr(0, kTextMax)));
  }
  KILN_TRY(expect_array(*form.second, kListLengthMax));
  std::vector<TensorRef> tensors;
  for (const Json& element : *form.second) {
    KILN_TRY_ASSIGN(const ValueId id, define(element, "name", true));
    tensors.push_back({id});
  }
  return NodeOutput(std::move(tensors));
}

Result<GraphNode> read_target(const Json& json) {
  KILN_TRY_ASSIGN(const Json* target_json, member(json, "target"));
  KILN_TRY_ASSIGN(const std::string_view target, to_text(*target_json, kNameLengthMax));
  GraphNode node;
  if (const std::string_view scalar = find_scalar_function(target); !scalar.empty()) {
    node.op = scalar;
    return node;
  }
  constexpr std::string_view kPrefix = "torch.ops.aten.";
  const std::size_t dot = target.rfind('.');
  if (target.starts_with(kPrefix) && dot > kPrefix.size()) {
    node.op = "aten::" + std::string(target.substr(kPrefix.size(), dot - kPrefix.size()));
    node.overload = target.substr(dot + 1);
    if (find_operator(node.op) != nullptr && is_safe_name(node.overload)) {
      if (node.overload == "default") node.overload.clear();
      return node;
    }
  }
  return fail(input_refused("operator '{}' is not on the list of operators that a graph may use", target));
}

// What torch reads of a node beside operator, arguments and results.
Status check_node_fields(const Json& json) {
  KILN_TRY(expect_keys(json, {"target", "inputs", "outputs", "metadata", "name",
                              "is_hop_single_tensor_return"}));
  KILN_TRY_ASSIGN(const Json* metadata, member(json, "metadata"));
  if (!metadata->is_object() || !metadata->empty()) {
    return fail(input_refused("the node carries metadata; a package's graphs are stripped of it"));
  }
  if (const auto hop = json.find("is_hop_single_tensor_return"); hop != json.end() && !hop->is_null()) {
    return fail(input_refused("higher-order operators are refused"));
  }
  if (const auto name = json.find("name"); name != json.end() && !name->is_null()) {
    KILN_TRY_ASSIGN(const std::string_view text, to_text(*name, kNameLengthMax));
    if (!is_safe_name(text)) return fail(input_refused("the node's name is not a plain name"));
  }
  return {};
}

Result<NamedArgument> read_named_argument(const Json& json, const ValueTable& table) {
  KILN_TRY(expect_keys(json, {"name", "arg", "kind"}));
  KILN_TRY_ASSIGN(const Json* name, member(json, "name"));
  KILN_TRY_ASSIGN(const std::string_view text, to_text(*name, kNameLengthMax));
  // "from" is a keyword of Python and an argument of some operators; torch passes it by position.
  if (!text.empty() && !is_safe_name(text) && text != "from") {
    return fail(input_refused("an argument's name is not a plain name"));
  }
  KILN_TRY_ASSIGN(const Json* arg, member(json, "arg"));
  auto value = read_argument(*arg, table);
  if (!value) return fail(std::move(value).error().with_context(fmt::format("argument '{}'", text)));
  return NamedArgument{std::string(text), std::move(*value)};
}

Result<GraphNode> read_node(const Json& json, ValueTable& table) {
  KILN_TRY(check_node_fields(json));
  KILN_TRY_ASSIGN(GraphNode node, read_target(json));
  KILN_TRY_ASSIGN(const Json* inputs, member(json, "inputs"));
  KILN_TRY(expect_array(*inputs, kNodeArgumentsMax));
  for (const Json& input : *inputs) {
    KILN_TRY_ASSIGN(NamedArgument argument, read_named_argument(input, table));
    node.arguments.push_back(std::move(argument));
  }
  KILN_TRY_ASSIGN(const Json* outputs, member(json, "outputs"));
  KILN_TRY(expect_array(*outputs, kNodeArgumentsMax));
  for (const Json& output : *outputs) {
    KILN_TRY_ASSIGN(NodeOutput value, read_output(output, table));
    node.outputs.push_back(std::move(value));
  }
  return node;
}

Status read_nodes(const Json& json, ValueTable& table, ExportedGraph& graph) {
  KILN_TRY_ASSIGN(const Json* nodes, member(json, "nodes"));
  KILN_TRY(expect_array(*nodes, kGraphNodesMax));
  for (std::size_t i = 0; i < nodes->size(); ++i) {
    auto node = read_node((*nodes)[i], table);
    if (!node) return fail(std::move(node).error().with_context(fmt::format("node {}", i)));
    graph.nodes.push_back(std::move(*node));
  }
  return {};
}

Status read_graph(const Json& json, ExportedGraph& graph) {
  KILN_TRY(expect_keys(json, {"inputs", "outputs", "nodes", "tensor_values", "sym_int_values",
                              "sym_bool_values", "is_single_tensor_return", "custom_obj_values",
                              "sym_float_values"}));
  KILN_TRY_ASSIGN(ValueTable table, ValueTable::read(json));
  for (const Json& input : json["inputs"]) {
    KILN_TRY_ASSIGN(const std::string_view name, read_tensor_name(input));
    KILN_TRY_ASSIGN(const ValueId id, table.find(name, true));
    KILN_TRY(table.define(id));
    graph.inputs.push_back(id);
  }
  KILN_TRY(read_nodes(json, table, graph));
  for (const Json& output : json["outputs"]) {
    KILN_TRY_ASSIGN(const std::string_view name, read_tensor_name(output));
    KILN_TRY_ASSIGN(const ValueId id, table.use(name, true));
    graph.outputs.push_back(id);
  }
  graph.values = std::move(table).take_values();
  return {};
}

Result<ExportedGraph> read_program(std::string_view text) {
  KILN_TRY_ASSIGN(const Json program, load_json(text, kGraphJsonBytesMax));
  KILN_TRY_ASSIGN(const Json* module, member(program, "graph_module"));
  KILN_TRY_ASSIGN(const Json* json, member(*module, "graph"));
  KILN_TRY(check_program(program, *module, *json));
  ExportedGraph graph;
  KILN_TRY(read_ranges(program, graph));
  KILN_TRY(read_graph(*json, graph));
  KILN_TRY(check_graph_rules(graph));
  return graph;
}

}  // namespace

Result<ExportedGraph> parse_exported_graph(std::string_view json, std::string_view origin) {
  auto graph = read_program(json);
  if (!graph) return fail(std::move(graph).error().with_context(fmt::format("graph {}", origin)));
  return graph;
}

}  // namespace kiln::sharding
