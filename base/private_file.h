// Files that hold a secret: readable by the user whose secret it is, and by nobody else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln {

inline constexpr std::uint32_t kOwnerOnlyMode = 0600;

// Refused (exit code 65) unless the open file belongs to this user and nobody else may read or write it.
// `what` names it in the message: "signing key".
[[nodiscard]] Status require_private_file(int fd, std::string_view what, const std::string& path);

// Of a file that the user named and that cannot be opened: one that is not there ends the command with 66.
[[nodiscard]] Error key_file_error(const Error& error, std::string_view what);

}  // namespace kiln
