#include "sharding/graph/graph_rules.h"

#include <algorithm>

#include "sharding/graph/operator_table.h"

namespace kiln::sharding {
namespace {

const Argument* find_argument(const GraphNode& node, std::string_view name) {
  const auto found = std::find_if(node.arguments.begin(), node.arguments.end(),
                                  [&](const NamedArgument& a) { return a.name == name; });
  return found == node.arguments.end() ? nullptr : &found->value;
}

bool is_false(const Argument* argument) {
  const auto* value = argument == nullptr ? nullptr : std::get_if<bool>(argument);
  return value != nullptr && !*value;
}

Status check_node(const GraphNode& node) {
  if (node.overload == "out" || node.overload.ends_with("_out")) {
    return fail(input_refused("{}.{}: operators that write into given tensors are refused", node.op,
                              node.overload));
  }
  if (node.op == "aten::dropout" && !is_false(find_argument(node, "train"))) {
    return fail(input_refused("dropout is on: the network was exported in training mode"));
  }
  if (node.op == "aten::batch_norm" && !is_false(find_argument(node, "training"))) {
    return fail(input_refused("batch_norm learns: the network was exported in training mode"));
  }
  return {};
}

}  // namespace

const TensorRef* first_tensor(const GraphNode& node) {
  for (const NamedArgument& argument : node.arguments) {
    if (const auto* tensor = std::get_if<TensorRef>(&argument.value)) return tensor;
  }
  return nullptr;
}

std::vector<ValueId> storage_roots_assuming_views(const ExportedGraph& graph) {
  std::vector<ValueId> roots(graph.values.size());
  for (ValueId id = 0; id < roots.size(); ++id) roots[id] = id;
  for (const GraphNode& node : graph.nodes) {
    const OperatorTraits* traits = find_operator(node.op);
    const TensorRef* source = first_tensor(node);
    if (traits == nullptr || source == nullptr || traits->storage == Storage::kFresh) continue;
    const ValueId root = roots[source->value];
    for (const NodeOutput& output : node.outputs) {
      if (const auto* tensor = std::get_if<TensorRef>(&output)) roots[tensor->value] = root;
      if (const auto* list = std::get_if<std::vector<TensorRef>>(&output)) {
        for (const TensorRef item : *list) roots[item.value] = root;
      }
    }
  }
  return roots;
}

Status check_graph_rules(const ExportedGraph& graph) {
  const std::vector<ValueId> roots = storage_roots_assuming_views(graph);
  std::vector<bool> is_input(graph.values.size(), false);
  for (const ValueId input : graph.inputs) is_input[input] = true;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode& node = graph.nodes[i];
    if (auto status = check_node(node); !status) {
      return fail(status.error().with_context(fmt::format("node {}", i)));
    }
    const OperatorTraits* traits = find_operator(node.op);
    const TensorRef* target = first_tensor(node);
    const bool writes = traits != nullptr && traits->storage == Storage::kInPlace;
    if (writes && target != nullptr && is_input[roots[target->value]]) {
      return fail(input_refused("node {}: {} writes into the graph's input '{}'", i, node.op,
                                graph.values[roots[target->value]].name));
    }
  }
  if (graph.outputs.empty()) return fail(input_refused("the graph has no output"));
  return {};
}

}  // namespace kiln::sharding
