#include "lane/media/cancel_signal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace kiln::lane {

CancelSignal::CancelSignal() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  KILN_CHECK(event_.valid(), "no descriptor left for a cancel signal");
}

void CancelSignal::cancel() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(event_.get(), &one, sizeof one);
}

bool CancelSignal::cancelled() const {
  pollfd entry{event_.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace kiln::lane
