// How much memory one uncompiled run of a graph takes at its peak, from the shapes written in the graph:
// no device, nothing allocated. Views share their storage, in-place operators make none, a value dies
// after its last use. Weights are not counted; the frames and the outputs are.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/card_memory.h"
#include "sharding/graph/exported_graph.h"

namespace kiln::sharding {

// For every node, the tensor values whose last use it is. Graph inputs and outputs never appear.
[[nodiscard]] std::vector<std::vector<ValueId>> last_uses(const ExportedGraph& graph);

// By value: whether a node reads it or the graph returns it.
[[nodiscard]] std::vector<bool> read_values(const ExportedGraph& graph);

struct PeakEstimate {
  std::uint64_t peak_bytes = 0;
  std::size_t node = 0;  // where the peak is
};

// `activation_inputs`: how many inputs at the front are activations (the rest are parameters).
[[nodiscard]] Result<PeakEstimate> peak_activation_bytes(const ExportedGraph& graph,
                                                         const SymbolValues& symbols,
                                                         std::size_t activation_inputs);

// What that run takes and gives back, one after the other, without the graph's inputs. What is left is its outputs.
[[nodiscard]] Result<std::vector<MemoryStep>> memory_steps(const ExportedGraph& graph, const SymbolValues& symbols);

}  // namespace kiln::sharding
