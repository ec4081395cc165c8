// The coordinator's state as the bytes of a snapshot, and back. Equal states give equal bytes, and what is read is equal
// to what was written.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/core/farm_state.h"

namespace kiln::coordinator {

[[nodiscard]] std::string encode_durable(const Durable& durable);
// With at most `threads` threads. kDataLoss: damaged. kVersionMismatch: of a newer program.
[[nodiscard]] Result<Durable> decode_durable(std::string_view bytes, unsigned threads);

}  // namespace kiln::coordinator
