// What a compiled library returns, held against its graph.
#pragma once

#include <vector>

#include "base/result.h"
#include "sharding/compile_key.h"
#include "sharding/graph/exported_graph.h"

namespace kiln::worker {

// The graph says what comes out, and the child must have made that. Only strides are the child's to say.
[[nodiscard]] Status settle_outputs(const sharding::ExportedGraph& graph, const std::vector<sharding::TensorSpec>& inputs,
                                    std::vector<sharding::TensorSpec>& outputs);

}  // namespace kiln::worker
