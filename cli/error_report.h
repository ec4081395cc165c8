// How a command says what went wrong: one line on stderr, and with --json one value on stdout.
#pragma once

#include <string>

#include "base/error.h"

namespace kiln::cli {

// {"error": {"code": …, "exit_code": …, "message": …}}
[[nodiscard]] std::string error_json(const Error& error);
void report_error(const Error& error, bool json);

}  // namespace kiln::cli
