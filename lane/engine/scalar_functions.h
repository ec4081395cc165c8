// Functions of whole numbers and bools that export writes into graphs with symbolic sizes. Python's
// meaning: floor division and modulo round towards minus infinity. No torch in here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

// `op` is a name of sharding/graph/operator_table.h, "sym::add"; bools are 0 and 1.
[[nodiscard]] Result<std::int64_t> call_scalar_function(std::string_view op,
                                                        const std::vector<std::int64_t>& arguments);
[[nodiscard]] bool scalar_function_gives_bool(std::string_view op);

}  // namespace kiln::lane
