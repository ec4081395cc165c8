#include "base/error.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace kiln {
namespace {

constexpr std::array<std::pair<ErrorCode, std::string_view>, 16> kNames{{
    {ErrorCode::kCancelled, "cancelled"},
    {ErrorCode::kUnknown, "unknown"},
    {ErrorCode::kInvalidArgument, "invalid_argument"},
    {ErrorCode::kDeadlineExceeded, "deadline_exceeded"},
    {ErrorCode::kNotFound, "not_found"},
    {ErrorCode::kAlreadyExists, "already_exists"},
    {ErrorCode::kPermissionDenied, "permission_denied"},
    {ErrorCode::kResourceExhausted, "resource_exhausted"},
    {ErrorCode::kFailedPrecondition, "failed_precondition"},
    {ErrorCode::kAborted, "aborted"},
    {ErrorCode::kOutOfRange, "out_of_range"},
    {ErrorCode::kUnimplemented, "unimplemented"},
    {ErrorCode::kInternal, "internal"},
    {ErrorCode::kUnavailable, "unavailable"},
    {ErrorCode::kDataLoss, "data_loss"},
    {ErrorCode::kUnauthenticated, "unauthenticated"},
}};

ExitCode exit_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kOutOfRange:
      return ExitCode::kUsage;
    case ErrorCode::kNotFound:
      return ExitCode::kNotFound;
    case ErrorCode::kUnavailable:
      return ExitCode::kUnreachable;
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnauthenticated:
      return ExitCode::kDenied;
    case ErrorCode::kDeadlineExceeded:
      return ExitCode::kTimeout;
    case ErrorCode::kDataLoss:
      return ExitCode::kInputRefused;
    case ErrorCode::kAlreadyExists:
      return ExitCode::kOutputUnwritable;
    case ErrorCode::kAborted:
      return ExitCode::kTryAgain;
    default:
      return ExitCode::kFailed;
  }
}

}  // namespace

Error Error::with_context(std::string_view context) const {
  return Error{code, fmt::format("{}: {}", context, message), exit};
}

std::string_view to_string(ErrorCode code) {
  for (const auto& [value, name] : kNames) {
    if (value == code) return name;
  }
  return "unknown";
}

ErrorCode error_code_from_string(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (known == name) return value;
  }
  return ErrorCode::kUnknown;
}

int exit_code(const Error& error) {
  const ExitCode exit = error.exit == ExitCode::kFromCode ? exit_for(error.code) : error.exit;
  return static_cast<int>(exit);
}

Error errno_error(int errno_value, std::string_view what) {
  const std::string message =
      fmt::format("{}: {}", what, std::generic_category().message(errno_value));
  switch (errno_value) {
    case ENOENT:
      return Error{ErrorCode::kNotFound, message, ExitCode::kFromCode};
    case ENOSPC:
    case EDQUOT:
    case EIO:
      return Error{ErrorCode::kResourceExhausted, message, ExitCode::kIo};
    case EEXIST:
      return Error{ErrorCode::kAlreadyExists, message, ExitCode::kFromCode};
    case EACCES:
    case EPERM:
    case EROFS:
      return Error{ErrorCode::kPermissionDenied, message, ExitCode::kFromCode};
    default:
      return Error{ErrorCode::kInternal, message, ExitCode::kFromCode};
  }
}

}  // namespace kiln
