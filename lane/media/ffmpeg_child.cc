#include "lane/media/ffmpeg_child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "base/text.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kPipeBytes = 1U << 20U;
// A full pipe is writable again as soon as ffmpeg has taken one page. Who writes that page, and waits again, makes thousands of
// system calls for a frame and takes the processor that the encoder wants: after so little the pipe is left alone, for less
// than it takes ffmpeg to empty it.
constexpr std::size_t kWorthWriting = std::size_t{128} << 10U;
constexpr std::chrono::microseconds kPipeDrains{100};
constexpr std::size_t kMaxComplaintBytes = 16 * 1024;
constexpr std::size_t kMaxLineChars = 300;

// A write to a pipe without reader raises SIGPIPE, which would end the whole process. It is held back
// in this thread and taken off before anyone sees it.
class SigpipeHeld {
 public:
  SigpipeHeld() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~SigpipeHeld() {
    if (sigismember(&before_, SIGPIPE) != 0) return;
    const timespec now{0, 0};
    while (::sigtimedwait(&set_, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeHeld(const SigpipeHeld&) = delete;
  SigpipeHeld& operator=(const SigpipeHeld&) = delete;

 private:
  sigset_t set_{};
  sigset_t before_{};
};

// The pages go into the pipe instead of their content.
ssize_t lend_some(int pipe, std::span<const std::byte> bytes) {
  const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};  // NOLINT(cppcoreguidelines-pro-type-const-cast): only read
  return ::vmsplice(pipe, &part, 1, SPLICE_F_NONBLOCK);
}

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The last line that says something: encoders' statistics and generic endings are passed over.
std::string telling_line(const std::string& complaints) {
  static constexpr std::array<std::string_view, 16> kEmptyWords{
      "Conversion failed",      "Exiting with exit code",  "Exiting normally",
      "Error while filtering",  "Terminating thread",      "[info]",
      "frame=",                 "Last message repeated",   "Task finished with error",
      "Nothing was written",    "Error sending frames",    "Could not write header",
      "Error initializing output", "Error while opening encoder", "Error opening output",
      "Error submitting"};
  std::string_view best;
  for (const std::string_view line : split(complaints, '\n')) {
    const std::string_view text = trim(line);
    const bool empty = text.empty() || text.starts_with("Svt[") ||
                       std::any_of(kEmptyWords.begin(), kEmptyWords.end(),
                                   [&](std::string_view words) { return contains(text, words); });
    if (!empty) best = text;
  }
  // "[libx264 @ 0x55…] message": the address says nothing.
  if (best.starts_with('[') && contains(best, "] ")) best = best.substr(best.find("] ") + 2);
  return std::string(best.substr(0, kMaxLineChars));
}

}  // namespace

Result<std::unique_ptr<FfmpegChild>> FfmpegChild::start(FfmpegOptions options) {
  std::unique_ptr<FfmpegChild> child(new FfmpegChild());
  SpawnOptions spawn;
  spawn.argv = {options.program};
  spawn.argv.insert(spawn.argv.end(), options.arguments.begin(), options.arguments.end());
  spawn.set_env = {{"LC_ALL", "C"}, {"AV_LOG_FORCE_NOCOLOR", "1"}};
  Pipe in;
  Pipe out;
  KILN_TRY_ASSIGN(Pipe err, make_pipe());
  if (options.feed_stdin) {
    KILN_TRY_ASSIGN(in, make_pipe(kPipeBytes));
  }
  if (options.read_stdout) {
    KILN_TRY_ASSIGN(out, make_pipe(kPipeBytes));
  }
  spawn.stdin_fd = options.feed_stdin ? in.read_end.get() : options.stdin_fd;
  spawn.inherit = options.inherit;
  spawn.stdout_fd = out.write_end.get();
  spawn.stderr_fd = err.write_end.get();
  KILN_TRY_ASSIGN(child->process_, ChildProcess::spawn(spawn));
  child->stdin_ = std::move(in.write_end);
  child->stdout_ = std::move(out.read_end);
  child->stderr_ = std::move(err.read_end);
  for (const int fd : {child->stdin_.get(), child->stdout_.get(), child->stderr_.get()}) {
    if (fd >= 0) make_nonblocking(fd);
  }
  const int pipe_bytes = child->stdin_.valid() ? ::fcntl(child->stdin_.get(), F_GETPIPE_SZ) : 0;
  child->pipe_bytes_ = static_cast<std::size_t>(std::max(pipe_bytes, 0));
  child->options_ = std::move(options);
  return child;
}

void FfmpegChild::drain_stderr() {
  std::array<char, 4096> buffer{};
  while (stderr_.valid()) {
    const ssize_t n = ::read(stderr_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;  // nothing now
    if (n == 0) return stderr_.reset();
    complaints_.append(buffer.data(), static_cast<std::size_t>(n));
    if (complaints_.size() > 2 * kMaxComplaintBytes) {
      complaints_.erase(0, complaints_.size() - kMaxComplaintBytes);
    }
  }
}

// Until the wanted descriptor is ready (or closed at the other end).
Status FfmpegChild::wait_for(Wait what) {
  const auto until = std::chrono::steady_clock::now() + options_.idle_deadline;
  while (true) {
    pollfd wanted{-1, POLLIN, 0};
    if (what == Wait::kStdout) wanted.fd = stdout_.get();
    if (what == Wait::kStdin) wanted = {stdin_.get(), POLLOUT, 0};
    if (what == Wait::kExit) wanted.fd = process_.pid_fd();
    std::array<pollfd, 3> polls{wanted, pollfd{stderr_.get(), POLLIN, 0},
                                pollfd{options_.cancel ? options_.cancel->fd() : -1, POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    const int timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30));
    const int ready = ::poll(polls.data(), polls.size(), timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail(errno_error(errno, "poll"));
    if (polls[2].revents != 0) {
      kill();
      return fail(make_error(ErrorCode::kCancelled, "cancelled"));
    }
    if (polls[1].revents != 0) drain_stderr();
    if (polls[0].revents != 0) return {};
    if (ready == 0) {
      kill();
      return fail(make_error(ErrorCode::kDeadlineExceeded,
                             "ffmpeg did nothing for {} s and was ended; its last words: {}",
                             options_.idle_deadline.count() / 1000, telling_line(complaints_)));
    }
  }
}

Result<std::size_t> FfmpegChild::read_some(std::span<std::byte> bytes) {
  while (true) {
    if (options_.cancel != nullptr && options_.cancel->cancelled()) {
      kill();
      return fail(make_error(ErrorCode::kCancelled, "cancelled"));
    }
    const ssize_t n = ::read(stdout_.get(), bytes.data(), bytes.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(errno_error(errno, "read from ffmpeg"));
    KILN_TRY(wait_for(Wait::kStdout));
  }
}

Status FfmpegChild::write_all(std::span<const std::byte> bytes) { return put_all(bytes, false); }
Status FfmpegChild::lend_all(std::span<const std::byte> bytes) { return put_all(bytes, true); }

Status FfmpegChild::put_all(std::span<const std::byte> bytes, bool lend) {
  const SigpipeHeld held;
  while (!bytes.empty()) {
    if (!stdin_.valid()) return fail(make_error(ErrorCode::kUnavailable, "ffmpeg has ended"));
    KILN_TRY(wait_for(Wait::kStdin));
    const bool lent = lend && lends_;
    const ssize_t n = lent ? lend_some(stdin_.get(), bytes) : ::write(stdin_.get(), bytes.data(), bytes.size());
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      if (!bytes.empty() && static_cast<std::size_t>(n) < kWorthWriting) std::this_thread::sleep_for(kPipeDrains);
      continue;
    }
    if (errno == EINTR || errno == EAGAIN) continue;
    if (lent && errno != EPIPE) {  // not such memory, not such a system
      lends_ = false;
      continue;
    }
    if (errno != EPIPE) return fail(errno_error(errno, "write to ffmpeg"));
    stdin_.reset();
  }
  return {};
}

Result<ExitStatus> FfmpegChild::finish() {
  stdin_.reset();
  stdout_.reset();  // what nobody reads must not keep it waiting
  if (!process_.running()) return fail(make_error(ErrorCode::kFailedPrecondition, "ffmpeg was ended"));
  KILN_TRY(wait_for(Wait::kExit));
  drain_stderr();
  KILN_TRY_ASSIGN(const ExitStatus status, process_.wait());
  account(status);
  return status;
}

void FfmpegChild::kill() {
  account(process_.kill_and_wait());
  drain_stderr();
}

void FfmpegChild::account(const ExitStatus& status) {
  if (options_.cpu_s != nullptr) *options_.cpu_s += status.cpu_s;
}

Error ffmpeg_error(const ExitStatus& status, const std::string& complaints, const std::string& doing,
                   ExitCode otherwise) {
  static constexpr std::array<std::string_view, 5> kDisk{"No space left on device", "Disk quota exceeded",
                                                         "File too large", "Input/output error",
                                                         "File size limit exceeded"};
  const std::string line = telling_line(complaints);
  for (const auto words : kDisk) {
    if (contains(complaints, words)) {
      return io_error("{}: {}; free some space and run the same command again", doing, words);
    }
  }
  // ffmpeg that is stopped by the file size limit has no time to say so.
  if (status.signal == SIGXFSZ) return io_error("{}: the file grew past the allowed size", doing);
  if (status.signal != 0) {
    return make_error(ErrorCode::kInternal, ExitCode::kFailed, "{}: ffmpeg was {}{}{}", doing,
                      status.describe(), line.empty() ? "" : ": ", line);
  }
  return make_error(ErrorCode::kDataLoss, otherwise, "{}: {}", doing,
                    line.empty() ? "ffmpeg ended with " + status.describe() : line);
}

}  // namespace kiln::lane
