#include "lane/media/nut/byte_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace kiln::lane::nut {
namespace {

// Keeps SIGPIPE from this thread and swallows the one that a write raised, so that a library call
// neither ends the process nor changes its signal handling.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeBlock() {
    if (sigismember(&before_, SIGPIPE) == 1) return;
    const timespec no_wait{};
    while (::sigtimedwait(&sigpipe_, nullptr, &no_wait) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
};

}  // namespace

ByteSink::ByteSink(int fd, const CancelSignal* cancel) : fd_(fd), cancel_(cancel) {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || (!S_ISFIFO(info.st_mode) && !S_ISSOCK(info.st_mode))) return;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

Status ByteSink::write(std::span<const std::byte> bytes) const {
  const SigpipeBlock block;
  while (!bytes.empty()) {
    std::array<pollfd, 2> polls{{{fd_, POLLOUT, 0}, {cancel_ != nullptr ? cancel_->fd() : -1, POLLIN, 0}}};
    if (::poll(polls.data(), polls.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error(errno, "waiting to write frames"));
    }
    if (polls[1].revents != 0) return fail(make_error(ErrorCode::kCancelled, "cancelled while writing frames"));
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno == EPIPE) {
      return fail(make_error(ErrorCode::kUnavailable, "the reader of the frames is gone"));
    } else if (errno != EINTR && errno != EAGAIN) {
      return fail(errno_error(errno, "writing frames"));
    }
  }
  return {};
}

}  // namespace kiln::lane::nut
