#include "sharding/graph/liveness.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sharding/graph/storage_layout.h"

namespace kiln::sharding {
namespace {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

template <typename Visit>
void visit_tensors(const Argument& argument, const Visit& visit) {
  if (const auto* tensor = std::get_if<TensorRef>(&argument)) visit(tensor->value);
  if (const auto* list = std::get_if<std::vector<TensorRef>>(&argument)) {
    for (const TensorRef item : *list) visit(item.value);
  }
  if (const auto* list = std::get_if<std::vector<OptionalTensorRef>>(&argument)) {
    for (const OptionalTensorRef& item : *list) {
      if (const auto* tensor = std::get_if<TensorRef>(&item)) visit(tensor->value);
    }
  }
}

template <typename Visit>
void visit_results(const GraphNode& node, const Visit& visit) {
  for (const NodeOutput& output : node.outputs) {
    if (const auto* tensor = std::get_if<TensorRef>(&output)) visit(tensor->value);
    if (const auto* list = std::get_if<std::vector<TensorRef>>(&output)) {
      for (const TensorRef item : *list) visit(item.value);
    }
  }
}

// For every value the node that uses it last (or makes it, when nobody uses it); kNever for inputs
// and outputs of the graph.
std::vector<std::size_t> last_nodes(const ExportedGraph& graph) {
  std::vector<std::size_t> last(graph.values.size(), kNever);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto touch = [&](ValueId id) { last[id] = i; };
    for (const NamedArgument& argument : graph.nodes[i].arguments) visit_tensors(argument.value, touch);
    visit_results(graph.nodes[i], touch);
  }
  for (const ValueId id : graph.inputs) last[id] = kNever;
  for (const ValueId id : graph.outputs) last[id] = kNever;
  return last;
}

// How many living values use each memory, and how much lives in all.
class Account {
 public:
  Account(const ExportedGraph& graph, const StorageLayout& layout, std::size_t activation_inputs)
      : layout_(layout), users_(graph.values.size(), 0), counted_(graph.values.size(), true) {
    for (std::size_t i = activation_inputs; i < graph.inputs.size(); ++i) counted_[graph.inputs[i]] = false;
    for (const ValueId input : graph.inputs) begin(input);
  }

  void begin(ValueId id) {
    const ValueId root = layout_.roots[id];
    if (users_[root]++ == 0 && counted_[root]) live_bytes_ += layout_.tensors[root].storage_bytes();
  }
  void end(ValueId id) {
    const ValueId root = layout_.roots[id];
    if (--users_[root] == 0 && counted_[root]) live_bytes_ -= layout_.tensors[root].storage_bytes();
  }
  [[nodiscard]] std::uint64_t live_bytes() const { return live_bytes_; }

 private:
  const StorageLayout& layout_;
  std::vector<std::uint32_t> users_;
  std::vector<bool> counted_;
  std::uint64_t live_bytes_ = 0;
};

}  // namespace

std::vector<std::vector<ValueId>> last_uses(const ExportedGraph& graph) {
  const std::vector<std::size_t> last = last_nodes(graph);
  std::vector<std::vector<ValueId>> ending(graph.nodes.size());
  for (ValueId id = 0; id < last.size(); ++id) {
    if (last[id] != kNever) ending[last[id]].push_back(id);
  }
  return ending;
}

std::vector<bool> read_values(const ExportedGraph& graph) {
  std::vector<bool> read(graph.values.size(), false);
  for (const GraphNode& node : graph.nodes) {
    for (const NamedArgument& argument : node.arguments) {
      visit_tensors(argument.value, [&](ValueId id) { read[id] = true; });
    }
  }
  for (const ValueId id : graph.outputs) read[id] = true;
  return read;
}

Result<PeakEstimate> peak_activation_bytes(const ExportedGraph& graph, const SymbolValues& symbols,
                                           std::size_t activation_inputs) {
  KILN_TRY_ASSIGN(const StorageLayout layout, lay_out(graph, symbols));
  const auto ending = last_uses(graph);
  Account account(graph, layout, activation_inputs);
  PeakEstimate peak{account.live_bytes(), 0};
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    visit_results(graph.nodes[i], [&](ValueId id) { account.begin(id); });
    const std::uint64_t now = account.live_bytes() + scratch_bytes(graph.nodes[i], layout);
    if (now > peak.peak_bytes) peak = {now, i};
    for (const ValueId id : ending[i]) account.end(id);
  }
  return peak;
}

Result<std::vector<MemoryStep>> memory_steps(const ExportedGraph& graph, const SymbolValues& symbols) {
  KILN_TRY_ASSIGN(const StorageLayout layout, lay_out(graph, symbols));
  const auto ending = last_uses(graph);
  std::vector<MemoryStep> steps;
  std::vector<std::size_t> users(graph.values.size(), 0);
  std::vector<std::size_t> taken(graph.values.size(), kNever);  // by root: the step that took its memory
  for (const ValueId input : graph.inputs) ++users[layout.roots[input]];
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    visit_results(graph.nodes[i], [&](ValueId id) {
      const ValueId root = layout.roots[id];
      const std::uint64_t bytes = layout.tensors[root].storage_bytes();
      if (users[root]++ > 0 || bytes == 0) return;
      taken[root] = steps.size();
      steps.push_back({bytes, 0});
    });
    for (const ValueId id : ending[i]) {
      const ValueId root = layout.roots[id];
      if (--users[root] > 0 || taken[root] == kNever) continue;
      steps.push_back({0, std::exchange(taken[root], kNever)});
    }
  }
  return steps;
}

}  // namespace kiln::sharding
