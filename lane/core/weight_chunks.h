// How weights are cut for their way to a card. Pure: every lane of a group works out the same chunks from the same package.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kiln::lane {

// Part of one tensor.
struct WeightPiece {
  std::size_t tensor = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool operator==(const WeightPiece&) const = default;
};

// What is copied, and broadcast, in one go.
struct WeightChunk {
  std::vector<WeightPiece> pieces;
  std::uint64_t bytes = 0;
  bool operator==(const WeightChunk&) const = default;
};

// So many tensors at most are in one chunk: each is a call of its own.
inline constexpr std::size_t kPiecesPerChunk = 256;

// All bytes of all tensors, in order, each once; no chunk is empty or larger than `chunk_bytes`.
[[nodiscard]] std::vector<WeightChunk> plan_chunks(std::span<const std::uint64_t> tensor_bytes, std::uint64_t chunk_bytes);

}  // namespace kiln::lane
