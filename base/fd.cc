#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kiln {

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<Pipe> make_pipe(std::size_t capacity_bytes) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail(errno_error(errno, "pipe2"));
  Pipe pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  // A larger buffer saves wake-ups; the system's limit for unprivileged users may refuse it.
  if (capacity_bytes > 0) ::fcntl(fds[1], F_SETPIPE_SZ, static_cast<int>(capacity_bytes));
  return pipe;
}

Result<UniqueFd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail(errno_error(errno, "fcntl(F_DUPFD_CLOEXEC)"));
  return UniqueFd(copy);
}

Result<std::size_t> read_fully(int fd, std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read"));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Status write_fully(int fd, std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "write"));
    done += static_cast<std::size_t>(n);
  }
  return {};
}

namespace {

// Behind what is in `out`.
Result<std::string> append_to_end(std::string out, int fd, std::uint64_t max_bytes) {
  char buffer[65536];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read"));
    if (n == 0) return out;
    if (out.size() + static_cast<std::size_t>(n) > max_bytes) {
      return fail(make_error(ErrorCode::kResourceExhausted, "more than {} bytes", max_bytes));
    }
    out.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace

Result<std::string> read_to_end(int fd, std::uint64_t max_bytes) { return append_to_end({}, fd, max_bytes); }

Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, path));
  std::string out;
  struct stat info {};
  // A large file grows no string by doubling it.
  if (::fstat(fd.get(), &info) == 0 && S_ISREG(info.st_mode)) {
    out.reserve(std::min(max_bytes, static_cast<std::uint64_t>(info.st_size)));
  }
  auto bytes = append_to_end(std::move(out), fd.get(), max_bytes);
  if (!bytes) return fail(bytes.error().with_context(path));
  return bytes;
}

}  // namespace kiln
