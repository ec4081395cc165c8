// A few threads for what waits: the store's answers, the disk.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"

namespace kiln::worker {

// A lane and the compile slot have one transfer each at a time; more wait here than there are lanes only when tasks are
// called off and given anew.
inline constexpr std::size_t kTransfersWaitingMax = 4096;

class TransferPool {
 public:
  explicit TransferPool(std::size_t threads);
  // Waits for what runs, which its owner has told to end; what waits is dropped.
  ~TransferPool();
  TransferPool(const TransferPool&) = delete;
  TransferPool& operator=(const TransferPool&) = delete;

  void run(std::function<void()> job);  // waits for room
  [[nodiscard]] std::size_t waiting() const { return jobs_.size(); }
  [[nodiscard]] std::uint64_t found_full() const { return found_full_; }  // kTransfersWaitingMax waited already

 private:
  BoundedQueue<std::function<void()>> jobs_{kTransfersWaitingMax};
  std::atomic<std::uint64_t> found_full_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace kiln::worker
