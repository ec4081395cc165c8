// Words of the command line that name jobs, workers, tasks and tries. They are checked before anybody is asked: what is
// wrong ends with exit code 2 and one line that says what is right. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "net/farm_replies.h"

namespace kiln::cli {

[[nodiscard]] Status check_job_word(std::string_view word);
[[nodiscard]] Status check_worker_word(std::string_view word);
// From 1 on, as `kiln status --json` and `kiln trace` show them.
[[nodiscard]] Result<std::uint64_t> task_number(std::string_view word);
[[nodiscard]] Result<std::uint32_t> attempt_number(std::string_view word);
// Digits alone that could be a task's number are one; anything else is the name of a job.
[[nodiscard]] Result<net::Explain> explain_request(std::string_view word);

struct LogsOptions {
  std::uint64_t task = 0;
  std::uint32_t attempt = 0;  // 0: the latest that has a log
};
// Nothing: no try has a log yet. Exit code 3: the try that was asked for is not known, or left no log.
[[nodiscard]] Result<const net::AttemptLog*> chosen_attempt(const net::TaskLogs& logs, const LogsOptions& options);

}  // namespace kiln::cli
