// A TOML file as a flat list of values with their lines; knows nothing of which settings there are.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kiln::cli {

// A value of a kind that no setting takes: "a list", "a date", "a table" (an empty one), …
struct OtherKind {
  std::string name;
};

struct FileValue {
  std::string name;  // "run.lanes" for `lanes` in table [run]
  std::variant<std::int64_t, bool, std::string, OtherKind> value;
  int line = 0;
};

// In the order of the file's lines. Exit code 78 when the file cannot be read or is not TOML.
[[nodiscard]] Result<std::vector<FileValue>> read_config_file(const std::string& path);

}  // namespace kiln::cli
