// Chunks of weights out of the mapped copy into pinned slots, by threads of its own: one alone is slower than a card's link.
#pragma once

#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "lane/core/weight_chunks.h"

namespace kiln::lane {

// One tensor: where its bytes are, and where on the card they go.
struct WeightTarget {
  std::byte* device = nullptr;
  std::span<const std::byte> host;
};

// What it is given outlives it. Chunk n lies in slot n modulo the number of slots.
class HostFeed {
 public:
  struct Slots {
    std::byte* memory = nullptr;
    std::size_t count = 1;
    std::size_t bytes = 0;  // of one
  };
  // From chunk `first` on.
  HostFeed(std::span<const WeightChunk> chunks, std::span<const WeightTarget> targets, Slots slots, std::size_t first);
  ~HostFeed();
  HostFeed(const HostFeed&) = delete;
  HostFeed& operator=(const HostFeed&) = delete;

  [[nodiscard]] bool has(std::size_t chunk);
  [[nodiscard]] const std::byte* slot_of(std::size_t chunk) const { return slots_.memory + chunk % slots_.count * slots_.bytes; }
  // All up to it were read; their slots are filled anew.
  void release(std::size_t chunk);

 private:
  void work();
  void fill(std::size_t chunk) const;

  const std::span<const WeightChunk> chunks_;
  const std::span<const WeightTarget> targets_;
  const Slots slots_;
  std::mutex mutex_;  // guards what follows, up to the threads
  std::condition_variable free_;
  std::vector<bool> filled_;
  std::size_t next_ = 0;
  std::size_t released_ = 0;  // chunks before it
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kiln::lane
