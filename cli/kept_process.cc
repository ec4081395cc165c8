#include "cli/kept_process.h"

#include "base/log.h"

namespace kiln::cli {

Status KeptProcess::start() {
  KILN_TRY_ASSIGN(process_, ChildProcess::spawn(spawn_));
  return {};
}

Result<std::optional<int>> KeptProcess::on_end() {
  KILN_TRY_ASSIGN(const ExitStatus status, process_.wait());
  if (status.signal == 0) return std::optional<int>(status.exit_code);
  const auto now = std::chrono::steady_clock::now();
  while (!deaths_.empty() && now - deaths_.front() > kRestartWindow) deaths_.pop_front();
  deaths_.push_back(now);
  if (deaths_.size() > kRestartsMax) {
    return fail(make_error(ErrorCode::kAborted, ExitCode::kFailed, "{} was killed {} times within {} s: {}", name_,
                           deaths_.size(), kRestartWindow.count(), status.describe()));
  }
  log::warn("{} was {} and is started again", name_, status.describe());
  ++restarts_;
  KILN_TRY(start());
  return std::optional<int>();
}

void KeptProcess::stop(std::chrono::milliseconds patience, std::initializer_list<int> signals) {
  if (!process_.running()) return;
  for (const int signal : signals) process_.signal_group(signal);
  const auto ended = process_.wait_for(patience);
  if (!ended || !*ended) process_.kill_and_wait();
}

}  // namespace kiln::cli
