// What `kiln --version` prints.
#pragma once

#include <string>

namespace kiln::cli {

[[nodiscard]] std::string version_text();

}  // namespace kiln::cli
