// Whether the bits that a compiled graph gives depend on how many threads run it. They do where one sum is
// long and there are few of them: then threads share the sum, and float addition has an order.
#pragma once

#include "sharding/graph/exported_graph.h"

namespace kiln::sharding {

// The first operator whose sums threads may share, nullptr where there is none: with one thread such a graph gives
// the same bits everywhere. Open sizes are judged at the largest pictures that the graph takes, fixed ones at
// their own. Who cannot be judged counts as one that shares.
[[nodiscard]] const GraphNode* find_shared_sum(const ExportedGraph& graph);

}  // namespace kiln::sharding
