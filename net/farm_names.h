// The grammar of names that the farm's parts give each other. Pure.
#pragma once

#include <string_view>

#include "net/farm_tasks.h"

namespace kiln::net {

inline constexpr std::string_view kJobNameGrammar = "1 to 64 of a-z, 0-9 and -, not - first";
inline constexpr std::string_view kWorkerNameGrammar = "1 to 64 of A-Z, a-z, 0-9, '.', '_' and -";

// Also a store's name for the owner of blobs, and a word on the command line: no flag.
[[nodiscard]] bool valid_job_name(std::string_view name);
// "." and ".." are none: names become those of files.
[[nodiscard]] bool valid_worker_name(std::string_view name);
// 64 lower-case hex digits.
[[nodiscard]] bool valid_sha256(std::string_view hex);
// Below some folder, whatever that is: relative, without empty, "." and ".." parts, without control characters.
[[nodiscard]] bool valid_relative_path(std::string_view path);
// As settings and metrics call a class of failure: "out_of_memory".
[[nodiscard]] std::string_view to_string(FailureKind kind);
// Printable ASCII without spaces.
[[nodiscard]] bool is_word(std::string_view text);

}  // namespace kiln::net
