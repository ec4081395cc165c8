// Checks of an exported program's parts around its graph. Internal to the parser.
#pragma once

#include "sharding/graph/json_reading.h"

namespace kiln::sharding {

// `module` and `graph` are the program's own members.
[[nodiscard]] Status check_program(const Json& program, const Json& module, const Json& graph);

}  // namespace kiln::sharding
