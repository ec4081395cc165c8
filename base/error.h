// Errors as values. One canonical code decides how the program reacts; the message is for a person.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace kiln {

// The canonical set used across RPC systems; nothing is added to it.
enum class ErrorCode {
  kCancelled,
  kUnknown,
  kInvalidArgument,
  kDeadlineExceeded,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kAborted,
  kOutOfRange,
  kUnimplemented,
  kInternal,
  kUnavailable,
  kDataLoss,
  kUnauthenticated,
};

// What a command ends with. kFromCode: derived from ErrorCode by exit_code().
enum class ExitCode : int {
  kFromCode = -1,
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kUnreachable = 4,
  kDenied = 5,
  kTimeout = 6,
  kVersionMismatch = 7,
  kInputRefused = 65,     // unreadable, refused or untrusted input
  kInputMissing = 66,     // input file is not there
  kOutputUnwritable = 73, // output exists or cannot be written
  kIo = 74,               // disk full, I/O error
  kTryAgain = 75,
  kBadConfig = 78,
};

struct Error {
  ErrorCode code = ErrorCode::kUnknown;
  std::string message;  // what, where, what to do; one line
  ExitCode exit = ExitCode::kFromCode;

  // The same error with "context: " in front of its message.
  [[nodiscard]] Error with_context(std::string_view context) const;
};

[[nodiscard]] std::string_view to_string(ErrorCode code);
[[nodiscard]] ErrorCode error_code_from_string(std::string_view name);
[[nodiscard]] int exit_code(const Error& error);

template <typename... Args>
[[nodiscard]] Error make_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...), ExitCode::kFromCode};
}

template <typename... Args>
[[nodiscard]] Error make_error(ErrorCode code, ExitCode exit, fmt::format_string<Args...> format,
                               Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...), exit};
}

// `what: strerror(errno_value)`. ENOENT is kNotFound, ENOSPC/EDQUOT/EIO end with exit code 74.
[[nodiscard]] Error errno_error(int errno_value, std::string_view what);

// The kinds of bad input that commands name by exit code.
template <typename... Args>
[[nodiscard]] Error input_refused(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kDataLoss, ExitCode::kInputRefused, format, std::forward<Args>(args)...);
}
template <typename... Args>
[[nodiscard]] Error input_missing(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kNotFound, ExitCode::kInputMissing, format, std::forward<Args>(args)...);
}
template <typename... Args>
[[nodiscard]] Error output_unwritable(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kFailedPrecondition, ExitCode::kOutputUnwritable, format,
                    std::forward<Args>(args)...);
}
template <typename... Args>
[[nodiscard]] Error io_error(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kResourceExhausted, ExitCode::kIo, format, std::forward<Args>(args)...);
}
template <typename... Args>
[[nodiscard]] Error bad_config(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kInvalidArgument, ExitCode::kBadConfig, format, std::forward<Args>(args)...);
}

}  // namespace kiln
