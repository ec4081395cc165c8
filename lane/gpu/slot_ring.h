// A fixed number of slots that are taken, and come back when their last user lets go.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace kiln::lane {

// Any thread. Slots keep the ring alive.
template <typename Slot>
class SlotRing : public std::enable_shared_from_this<SlotRing<Slot>> {
 public:
  explicit SlotRing(std::vector<std::unique_ptr<Slot>> slots) : slots_(std::move(slots)) {
    for (const auto& slot : slots_) free_.push_back(slot.get());
  }

  // Blocks while all are out.
  [[nodiscard]] std::shared_ptr<Slot> take() {
    std::unique_lock lock(mutex_);
    came_back_.wait(lock, [this] { return !free_.empty(); });
    Slot* slot = free_.front();
    free_.erase(free_.begin());  // the one that was let go first: what its last user began on the card is done soonest
    return std::shared_ptr<Slot>(slot, [ring = this->shared_from_this()](Slot* taken) { ring->give_back(taken); });
  }

  [[nodiscard]] std::size_t size() const { return slots_.size(); }

 private:
  void give_back(Slot* slot) {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
    came_back_.notify_one();
  }

  std::vector<std::unique_ptr<Slot>> slots_;
  std::mutex mutex_;
  std::condition_variable came_back_;
  std::vector<Slot*> free_;  // guarded by mutex_
};

}  // namespace kiln::lane
