#include "lane/core/weight_chunks.h"

#include <algorithm>

namespace kiln::lane {

std::vector<WeightChunk> plan_chunks(std::span<const std::uint64_t> tensor_bytes, std::uint64_t chunk_bytes) {
  std::vector<WeightChunk> chunks;
  for (std::size_t tensor = 0; tensor < tensor_bytes.size(); ++tensor) {
    std::uint64_t done = 0;
    while (done < tensor_bytes[tensor]) {
      const bool is_full =
          chunks.empty() || chunks.back().bytes == chunk_bytes || chunks.back().pieces.size() == kPiecesPerChunk;
      if (is_full) chunks.emplace_back();
      WeightChunk& chunk = chunks.back();
      const std::uint64_t bytes = std::min(tensor_bytes[tensor] - done, chunk_bytes - chunk.bytes);
      chunk.pieces.push_back({tensor, done, bytes});
      chunk.bytes += bytes;
      done += bytes;
    }
  }
  return chunks;
}

}  // namespace kiln::lane
