#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

extern char** environ;

namespace kiln {
namespace {

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

constexpr unsigned kCloseRangeCloexec = 1U << 2U;  // CLOSE_RANGE_CLOEXEC, absent from older headers

// Everything the child needs after fork, prepared before it: only async-signal-safe calls follow.
struct ChildImage {
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> env_storage;
  std::vector<char*> envp;
};

bool is_unset(const SpawnOptions& options, std::string_view name) {
  const auto same = [&](const auto& pair) { return pair.first == name; };
  return std::any_of(options.set_env.begin(), options.set_env.end(), same) ||
         std::find(options.unset_env.begin(), options.unset_env.end(), name) != options.unset_env.end();
}

void build_environment(const SpawnOptions& options, ChildImage& image) {
  for (char** entry = environ; !options.clear_env && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!is_unset(options, text.substr(0, text.find('=')))) image.env_storage.emplace_back(text);
  }
  for (const auto& [name, value] : options.set_env) image.env_storage.push_back(name + "=" + value);
  for (auto& entry : image.env_storage) image.envp.push_back(entry.data());
  image.envp.push_back(nullptr);
}

Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = ::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string candidate = std::string(rest.substr(0, colon)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  return fail(make_error(ErrorCode::kNotFound, "program '{}' is not in PATH", name));
}

// Moves descriptors to where the child wants them. Sources are first lifted above every target, so
// that no dup2 overwrites a source that is still needed.
bool place_descriptors(const std::vector<std::pair<int, int>>& wanted) {
  std::array<int, 64> lifted{};
  if (wanted.size() > lifted.size()) return false;
  int highest = 2;
  for (const auto& [from, to] : wanted) highest = std::max(highest, to);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    lifted[i] = ::fcntl(wanted[i].first, F_DUPFD_CLOEXEC, highest + 1);
    if (lifted[i] < 0) return false;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (::dup2(lifted[i], wanted[i].second) < 0) return false;  // dup2 clears close-on-exec
  }
  return true;
}

[[noreturn]] void run_child(const SpawnOptions& options, const ChildImage& image, int error_fd,
                            const std::vector<std::pair<int, int>>& wanted, pid_t parent) {
  const auto die = [error_fd] {
    const int error = errno;
    [[maybe_unused]] const ssize_t n = ::write(error_fd, &error, sizeof error);
    ::_exit(127);
  };
  if (options.own_process_group) ::setpgid(0, 0);
  if (options.die_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die();
    if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
  }
  if (options.nice > 0) ::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + options.nice);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  // Whatever our own parent leaked to us goes no further; placing clears the flag where it is wanted.
  ::syscall(SYS_close_range, 3U, ~0U, kCloseRangeCloexec);
  if (!place_descriptors(wanted)) die();
  if (!options.working_directory.empty() && ::chdir(options.working_directory.c_str()) != 0) die();
  if (options.before_exec && !options.before_exec()) die();
  ::execve(image.program.c_str(), image.argv.data(), image.envp.data());
  die();
  ::_exit(127);
}

Status await_exec(int error_fd, const std::string& program) {
  int child_errno = 0;
  auto n = read_fully(error_fd, std::as_writable_bytes(std::span(&child_errno, 1)));
  if (n && *n == sizeof child_errno) return fail(errno_error(child_errno, "cannot start " + program));
  return {};
}

}  // namespace

std::string ExitStatus::describe() const {
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
  return fmt::format("exit code {}", exit_code);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), own_group_(other.own_group_), pid_fd_(std::move(other.pid_fd_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill_and_wait();
    pid_ = std::exchange(other.pid_, -1);
    own_group_ = other.own_group_;
    pid_fd_ = std::move(other.pid_fd_);
  }
  return *this;
}

ChildProcess::~ChildProcess() { kill_and_wait(); }

Result<ChildProcess> ChildProcess::spawn(const SpawnOptions& options) {
  ChildImage image;
  KILN_TRY_ASSIGN(image.program, find_program(options.argv.at(0)));
  std::vector<std::string> argv_storage = options.argv;
  for (auto& arg : argv_storage) image.argv.push_back(arg.data());
  image.argv.push_back(nullptr);
  build_environment(options, image);

  UniqueFd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  KILN_TRY_ASSIGN(Pipe error_pipe, make_pipe());
  std::vector<std::pair<int, int>> wanted = options.inherit;
  const auto or_null = [&](int fd) { return fd < 0 ? null_fd.get() : fd; };
  wanted.emplace_back(or_null(options.stdin_fd), 0);
  wanted.emplace_back(or_null(options.stdout_fd), 1);
  wanted.emplace_back(or_null(options.stderr_fd), 2);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno_error(errno, "fork"));
  if (pid == 0) {
    // The error pipe must stay above the descriptors that are about to be placed.
    const int error_fd = ::fcntl(error_pipe.write_end.get(), F_DUPFD_CLOEXEC, 512);
    run_child(options, image, error_fd, wanted, parent);
  }
  error_pipe.write_end.reset();
  ChildProcess child;
  child.pid_ = pid;
  child.own_group_ = options.own_process_group;
  child.pid_fd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  KILN_TRY(await_exec(error_pipe.read_end.get(), options.argv[0]));
  return child;
}

void ChildProcess::signal_group(int signal) const {
  if (pid_ <= 0) return;
  ::kill(own_group_ ? -pid_ : pid_, signal);
}

Result<std::optional<ExitStatus>> ChildProcess::wait_for(std::chrono::milliseconds deadline) {
  if (pid_ <= 0) return fail(make_error(ErrorCode::kFailedPrecondition, "no child to wait for"));
  pollfd poll_fd{pid_fd_.get(), POLLIN, 0};
  const int ready = ::poll(&poll_fd, 1, static_cast<int>(deadline.count()));
  if (ready < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
  if (ready <= 0) return std::optional<ExitStatus>();
  KILN_TRY_ASSIGN(ExitStatus status, wait());
  return std::optional<ExitStatus>(status);
}

Result<ExitStatus> ChildProcess::wait() {
  if (pid_ <= 0) return fail(make_error(ErrorCode::kFailedPrecondition, "no child to wait for"));
  int raw = 0;
  rusage used{};
  while (::wait4(pid_, &raw, 0, &used) < 0) {
    if (errno != EINTR) return fail(errno_error(errno, "wait4"));
  }
  pid_ = -1;
  pid_fd_.reset();
  ExitStatus status;
  if (WIFSIGNALED(raw)) status.signal = WTERMSIG(raw);
  if (WIFEXITED(raw)) status.exit_code = WEXITSTATUS(raw);
  status.cpu_s = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  return status;
}

ExitStatus ChildProcess::kill_and_wait() {
  if (pid_ <= 0) return {};
  signal_group(SIGKILL);
  auto status = wait();
  return status ? *status : ExitStatus{};
}

Result<CommandOutput> run_command(SpawnOptions options, std::chrono::milliseconds deadline,
                                  std::uint64_t max_bytes) {
  KILN_TRY_ASSIGN(Pipe out, make_pipe());
  KILN_TRY_ASSIGN(Pipe err, make_pipe());
  options.stdout_fd = out.write_end.get();
  options.stderr_fd = err.write_end.get();
  KILN_TRY_ASSIGN(ChildProcess child, ChildProcess::spawn(options));
  out.write_end.reset();
  err.write_end.reset();

  const auto until = std::chrono::steady_clock::now() + deadline;
  CommandOutput result;
  std::array<std::pair<UniqueFd*, std::string*>, 2> streams{
      {{&out.read_end, &result.out}, {&err.read_end, &result.err}}};
  while (out.read_end.valid() || err.read_end.valid()) {
    std::array<pollfd, 2> polls{{{out.read_end.get(), POLLIN, 0}, {err.read_end.get(), POLLIN, 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    const int ready = left.count() <= 0 ? 0 : ::poll(polls.data(), 2, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return fail(make_error(ErrorCode::kDeadlineExceeded, "{} took longer than {} ms", options.argv[0],
                             deadline.count()));
    }
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (polls[i].revents == 0) continue;
      std::array<char, 65536> buffer{};
      const ssize_t n = ::read(streams[i].first->get(), buffer.data(), buffer.size());
      if (n > 0) streams[i].second->append(buffer.data(), static_cast<std::size_t>(n));
      if (n == 0) streams[i].first->reset();
      if (streams[i].second->size() > max_bytes) {
        return fail(make_error(ErrorCode::kResourceExhausted, "{} printed more than {} bytes",
                               options.argv[0], max_bytes));
      }
    }
  }
  KILN_TRY_ASSIGN(result.status, child.wait());
  return result;
}

}  // namespace kiln
