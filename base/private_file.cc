#include "base/private_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace kiln {
namespace {

constexpr mode_t kOthersMask = 0077;

}  // namespace

Status require_private_file(int fd, std::string_view what, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error(errno, path));
  if ((info.st_mode & kOthersMask) != 0) {
    return fail(input_refused("{} {} has mode {:04o}, so others can read it: run 'chmod 600 {}' if "
                              "nobody else had it, or remove it",
                              what, path, info.st_mode & 07777U, path));
  }
  if (info.st_uid != ::geteuid()) {
    return fail(input_refused("{} {} belongs to user {}, not to you", what, path, info.st_uid));
  }
  return {};
}

Error key_file_error(const Error& error, std::string_view what) {
  Error out = error.with_context(what);
  if (error.code == ErrorCode::kNotFound) out.exit = ExitCode::kInputMissing;
  return out;
}

}  // namespace kiln
