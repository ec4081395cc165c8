// Queues side by side, one for each channel, for one taker who gets their items in turn.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace kiln::lane {

template <typename T>
class FairQueues {
 public:
  FairQueues(std::size_t channels, std::size_t capacity) : queues_(channels), capacity_(capacity) {}

  // Waits for room in the channel. False: closed, and the value dropped.
  bool push(std::size_t channel, T value) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return queues_[channel].size() < capacity_ || closed_; });
    if (closed_) return false;
    queues_[channel].push_back(std::move(value));
    changed_.notify_one();
    return true;
  }

  struct Taken {
    std::size_t channel = 0;
    T value;
    double starved_s = 0.0;  // waited while all channels were empty
    double held_s = 0.0;     // waited while there was something that might not be taken
  };
  // The next item of the channels in turn, of one for which `may(channel)` holds. nullopt: closed and empty. `may` is
  // asked under this object's lock.
  template <typename May>
  std::optional<Taken> pop(May may) {
    std::unique_lock lock(mutex_);
    double starved_s = 0.0;
    double held_s = 0.0;
    while (true) {
      if (const auto channel = choose(may)) {
        Taken out{*channel, std::move(queues_[*channel].front()), starved_s, held_s};
        queues_[*channel].pop_front();
        next_ = (*channel + 1) % queues_.size();
        room_.notify_all();
        return out;
      }
      const bool empty = is_empty();
      if (closed_ && empty) return std::nullopt;
      const auto begin = std::chrono::steady_clock::now();
      changed_.wait(lock);
      (empty ? starved_s : held_s) += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
  }

  // What `may` looks at is another.
  void poke() {
    const std::lock_guard lock(mutex_);
    changed_.notify_one();
  }

  // What is in the queues can still be popped.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
    changed_.notify_all();
  }

 private:
  template <typename May>
  std::optional<std::size_t> choose(May& may) const {
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      const std::size_t channel = (next_ + i) % queues_.size();
      if (!queues_[channel].empty() && may(channel)) return channel;
    }
    return std::nullopt;
  }
  [[nodiscard]] bool is_empty() const {
    for (const auto& queue : queues_) {
      if (!queue.empty()) return false;
    }
    return true;
  }

  std::vector<std::deque<T>> queues_;
  const std::size_t capacity_;
  std::size_t next_ = 0;
  bool closed_ = false;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable changed_;
};

}  // namespace kiln::lane
