// Which values of a graph share memory, for concrete sizes. Internal to the liveness walk.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/graph/exported_graph.h"

namespace kiln::sharding {

struct ConcreteTensor {
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  ElementType dtype = ElementType::kFloat32;

  [[nodiscard]] std::int64_t elements() const;
  [[nodiscard]] std::uint64_t storage_bytes() const;  // up to the last element that strides reach
};

struct StorageLayout {
  std::vector<ConcreteTensor> tensors;  // by ValueId; empty for symbolic scalars
  std::vector<ValueId> roots;           // by ValueId: whose memory it is
};

[[nodiscard]] Result<StorageLayout> lay_out(const ExportedGraph& graph, const SymbolValues& symbols);

// Whether `tensor`, read in the order of its sizes, can take these sizes without a copy.
[[nodiscard]] bool can_view(const ConcreteTensor& tensor, const std::vector<std::int64_t>& sizes);

// Bytes that an operator allocates and frees while it runs, beside its results.
[[nodiscard]] std::uint64_t scratch_bytes(const GraphNode& node, const StorageLayout& layout);

}  // namespace kiln::sharding
