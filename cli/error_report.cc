#include "cli/error_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace kiln::cli {

// Names of files may hold line breaks, and terminals obey other control characters.
std::string error_json(const Error& error) {
  const nlohmann::json body = {
      {"error", {{"code", to_string(error.code)}, {"message", one_line(error.message)}, {"exit_code", exit_code(error)}}}};
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void report_error(const Error& error, bool json) {
  if (json) fmt::print("{}\n", error_json(error));
  fmt::print(stderr, "kiln: {}\n", one_line(error.message));
}

}  // namespace kiln::cli
