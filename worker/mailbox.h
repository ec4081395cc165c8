// How other threads hand work to the loop thread: closures, and a descriptor that becomes readable.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "base/fd.h"

namespace kiln::worker {

// post() from any thread; take() and fd() are the owner's.
class Mailbox {
 public:
  using Letter = std::function<void()>;
  Mailbox();

  void post(Letter letter);
  [[nodiscard]] int fd() const { return ready_.get(); }  // readable while there is something to take
  [[nodiscard]] std::vector<Letter> take();

 private:
  UniqueFd ready_;
  std::mutex mutex_;
  std::vector<Letter> letters_;
};

}  // namespace kiln::worker
