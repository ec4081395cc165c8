// Child processes that cannot outlive us, with only the descriptors they are meant to have.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace kiln {

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is searched in PATH when it has no '/'
  std::vector<std::pair<std::string, std::string>> set_env;  // added to, or replacing, our environment
  std::vector<std::string> unset_env;
  bool clear_env = false;  // start from set_env alone
  std::string working_directory;
  int stdin_fd = -1;  // -1: /dev/null
  int stdout_fd = -1;
  int stderr_fd = -1;  // -1: /dev/null; 2: ours
  // Pairs (our descriptor, number in the child), beyond 0–2. Everything else is closed on exec.
  std::vector<std::pair<int, int>> inherit;
  // The child dies with the *thread* that spawned it (PR_SET_PDEATHSIG): spawn from a thread that
  // lives as long as the child should.
  bool die_with_parent = true;
  // Called in the child right before exec, where only async-signal-safe calls are allowed: what confines
  // the child. false: it ends, and spawn() reports errno.
  std::function<bool()> before_exec;
  int nice = 0;  // levels above ours: it and its children give way to us
  bool own_process_group = true;  // signals then reach grandchildren too; Ctrl-C at the terminal does not
};

struct ExitStatus {
  int exit_code = 0;  // meaningful when signal == 0
  int signal = 0;     // the signal that ended it, or 0
  double cpu_s = 0.0;  // of the processor, in all its threads and in children that it waited for
  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0; }
  [[nodiscard]] std::string describe() const;  // "exit code 3", "killed by signal 9"
};

// One child; move-only. The destructor kills the child (its group) and reaps it.
class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  // kNotFound when the program does not exist.
  [[nodiscard]] static Result<ChildProcess> spawn(const SpawnOptions& options);

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] int pid_fd() const { return pid_fd_.get(); }  // readable when the child has ended
  void signal_group(int signal) const;
  // Waits up to `deadline`; nullopt: still running.
  [[nodiscard]] Result<std::optional<ExitStatus>> wait_for(std::chrono::milliseconds deadline);
  [[nodiscard]] Result<ExitStatus> wait();
  ExitStatus kill_and_wait();

 private:
  pid_t pid_ = -1;
  bool own_group_ = false;
  UniqueFd pid_fd_;
};

struct CommandOutput {
  ExitStatus status;
  std::string out;
  std::string err;
};

// Runs a short command to its end and returns what it printed. Past the deadline it is killed and the
// result is kDeadlineExceeded; more than `max_bytes` on either stream is kResourceExhausted.
[[nodiscard]] Result<CommandOutput> run_command(SpawnOptions options, std::chrono::milliseconds deadline,
                                                std::uint64_t max_bytes = 64ULL << 20U);

}  // namespace kiln
