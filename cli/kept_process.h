// A child that its program cannot do without. One that a signal killed is started again.
#pragma once

#include <signal.h>

#include <chrono>
#include <deque>
#include <initializer_list>
#include <optional>
#include <string>

#include "base/process.h"

namespace kiln::cli {

// Deaths by a signal within kRestartWindow; with one more the child is given up.
inline constexpr std::size_t kRestartsMax = 5;
inline constexpr std::chrono::seconds kRestartWindow{120};

// Owned by the thread that starts it, with which its child dies.
class KeptProcess {
 public:
  KeptProcess(std::string name, SpawnOptions spawn) : name_(std::move(name)), spawn_(std::move(spawn)) {}

  [[nodiscard]] Status start();
  [[nodiscard]] bool running() const { return process_.running(); }
  [[nodiscard]] int fd() const { return process_.pid_fd(); }  // readable when it has ended
  [[nodiscard]] std::size_t restarts() const { return restarts_; }
  // To be called when it has ended. Nothing: it was killed, and runs again. Else the exit code with which it ended.
  [[nodiscard]] Result<std::optional<int>> on_end();
  // These signals, and after `patience` SIGKILL.
  void stop(std::chrono::milliseconds patience, std::initializer_list<int> signals = {SIGTERM});
  void kill() { process_.kill_and_wait(); }

 private:
  std::string name_;  // for messages
  SpawnOptions spawn_;
  ChildProcess process_;
  std::size_t restarts_ = 0;
  std::deque<std::chrono::steady_clock::time_point> deaths_;  // of the last kRestartWindow
};

}  // namespace kiln::cli
