// A value that one thread renews while others read it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace kiln {

// Any thread. A reader keeps what it got for as long as it likes. Not std::atomic<std::shared_ptr>: load() of libstdc++ 12
// ends with a relaxed store, so that the next writer may change the pointer under a reader; ThreadSanitizer reports it.
template <typename T>
class Published {
 public:
  explicit Published(T first = {}) : value_(std::make_shared<const T>(std::move(first))) {}

  void renew(T value) {
    auto next = std::make_shared<const T>(std::move(value));
    const std::lock_guard lock(mutex_);  // gone before what was there before
    value_.swap(next);
  }
  [[nodiscard]] std::shared_ptr<const T> latest() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace kiln
