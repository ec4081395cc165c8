// Encoders of a channel that have all frames of their piece and are not done: they still hold what they looked ahead at, or work
// with ever fewer of their threads. Whoever feeds the channel's next encoder does not wait for that.
#pragma once

#include <cstddef>
#include <deque>
#include <future>
#include <utility>

namespace kiln::lane {

// Of one channel, beside the one that is fed: each holds as many frames as it looks ahead.
inline constexpr std::size_t kEncodersEndingMax = 1;

// One thread.
class EndingEncoders {
 public:
  // `most`: at once; 0: add() itself does what it is given.
  explicit EndingEncoders(std::size_t most) : most_(most) {}

  // Calls `end` on a thread of its own, after those that came too long before to be at it beside this one.
  template <typename End>
  void add(End end) {
    if (most_ == 0) return end();
    while (running_.size() >= most_) running_.pop_front();  // a future of std::async waits when it goes
    running_.push_back(std::async(std::launch::async, std::move(end)));
  }

 private:
  const std::size_t most_;
  std::deque<std::future<void>> running_;
};

}  // namespace kiln::lane
