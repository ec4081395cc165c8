#include "worker/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace kiln::worker {

Mailbox::Mailbox() : ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  KILN_CHECK(ready_.valid(), "eventfd: {}", errno);
}

void Mailbox::post(Letter letter) {
  const std::lock_guard lock(mutex_);
  letters_.push_back(std::move(letter));
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(ready_.get(), &one, sizeof one);
}

std::vector<Mailbox::Letter> Mailbox::take() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  while (::read(ready_.get(), &count, sizeof count) > 0) {
  }
  return std::exchange(letters_, {});
}

}  // namespace kiln::worker
