#include "cli/farm/command_words.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "net/farm_names.h"

namespace kiln::cli {
namespace {

template <typename... Args>
Error wrong_usage(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage, format, std::forward<Args>(args)...);
}

bool only_digits(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

// 0: it is no number from 1 to `most`.
std::uint64_t positive_number(std::string_view word, std::uint64_t most) {
  std::uint64_t number = 0;
  if (!only_digits(word)) return 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && number <= most ? number : 0;
}

constexpr std::uint64_t kTaskMost = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kAttemptMost = std::numeric_limits<std::int32_t>::max();

}  // namespace

Status check_job_word(std::string_view word) {
  if (net::valid_job_name(word)) return {};
  return fail(wrong_usage("'{}' is no job's name ({})", word, net::kJobNameGrammar));
}

Status check_worker_word(std::string_view word) {
  if (net::valid_worker_name(word)) return {};
  return fail(wrong_usage("'{}' is no worker's name ({})", word, net::kWorkerNameGrammar));
}

Result<std::uint64_t> task_number(std::string_view word) {
  if (const std::uint64_t number = positive_number(word, kTaskMost); number > 0) return number;
  return fail(wrong_usage("'{}' is no task's number (1 to {})", word, kTaskMost));
}

Result<std::uint32_t> attempt_number(std::string_view word) {
  if (const std::uint64_t number = positive_number(word, kAttemptMost); number > 0) return static_cast<std::uint32_t>(number);
  return fail(wrong_usage("'{}' is no number of a try (1 to {})", word, kAttemptMost));
}

Result<net::Explain> explain_request(std::string_view word) {
  if (const std::uint64_t number = positive_number(word, kTaskMost); number > 0) return net::Explain{number, {}};
  if (net::valid_job_name(word) && word.find_first_not_of('0') != std::string_view::npos) {
    return net::Explain{0, std::string(word)};
  }
  return fail(wrong_usage("'{}' is neither a task's number (1 to {}) nor a job's name ({})", word, kTaskMost,
                          net::kJobNameGrammar));
}

Result<const net::AttemptLog*> chosen_attempt(const net::TaskLogs& logs, const LogsOptions& options) {
  const auto not_found = [](std::string message) {
    return fail(Error{ErrorCode::kNotFound, std::move(message), ExitCode::kNotFound});
  };
  const net::AttemptLog* latest = nullptr;
  for (const net::AttemptLog& one : logs.attempts) {
    if (!one.log.sha256.empty()) latest = &one;
    if (options.attempt == 0 || one.attempt != options.attempt) continue;
    if (!one.log.sha256.empty()) return &one;
    return not_found(fmt::format("task {}, attempt {}: {}; no log of it was kept", options.task, one.attempt, one.outcome));
  }
  if (options.attempt == 0) return latest;
  const std::string known = logs.attempts.empty() ? "it was not begun yet"
                                                  : fmt::format("attempts {} to {} are known", logs.attempts.front().attempt,
                                                                logs.attempts.back().attempt);
  return not_found(fmt::format("task {} has no attempt {}; {}", options.task, options.attempt, known));
}

}  // namespace kiln::cli
