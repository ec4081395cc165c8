#include "worker/transfer_pool.h"

#include <utility>

namespace kiln::worker {

TransferPool::TransferPool(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      while (auto job = jobs_.pop()) (*job)();
    });
  }
}

TransferPool::~TransferPool() {
  jobs_.close();
  for (std::thread& thread : threads_) thread.join();
}

void TransferPool::run(std::function<void()> job) {
  if (jobs_.size() >= kTransfersWaitingMax) ++found_full_;
  jobs_.push(std::move(job));
}

}  // namespace kiln::worker
