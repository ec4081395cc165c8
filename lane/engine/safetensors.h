// Where the tensors of a safetensors file are. Bytes in, places out: nothing is copied, and a file that
// lies about its sizes is refused before anybody reads a tensor of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sharding/graph/exported_graph.h"

namespace kiln::lane {

inline constexpr std::uint64_t kSafetensorsHeaderBytesMax = std::uint64_t{64} << 20U;
inline constexpr std::size_t kSafetensorsTensorsMax = 262'144;

struct StoredTensor {
  sharding::ElementType dtype = sharding::ElementType::kFloat32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

// The result points into `file`. Tensors must cover the data without hole or overlap.
[[nodiscard]] Result<StoredTensors> read_safetensors(std::span<const std::byte> file);

}  // namespace kiln::lane
