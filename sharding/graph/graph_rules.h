// Rules about a whole graph, once it is read. Internal to the parser.
#pragma once

#include "sharding/graph/exported_graph.h"

namespace kiln::sharding {

// Nothing random, nothing in training mode, no writing into caller's tensors or into the inputs.
[[nodiscard]] Status check_graph_rules(const ExportedGraph& graph);

// For every value the value whose memory it uses (itself where it has its own). `exact` strides decide
// for operators that give a view only sometimes; without them every "maybe" counts as a view.
[[nodiscard]] std::vector<ValueId> storage_roots_assuming_views(const ExportedGraph& graph);

// The first tensor among a node's arguments; error values have none.
[[nodiscard]] const TensorRef* first_tensor(const GraphNode& node);

}  // namespace kiln::sharding
