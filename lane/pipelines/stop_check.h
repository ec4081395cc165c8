// How long work is left off early.
#pragma once

#include <functional>

#include "base/result.h"

namespace kiln::lane {

// True: what runs is to end. Asked between two networks' runs, which end first; may be empty.
using StopCheck = std::function<bool()>;

[[nodiscard]] inline Status check_stop(const StopCheck& stop) {
  if (!stop || !stop()) return {};
  return fail(make_error(ErrorCode::kCancelled, "cancelled"));
}

}  // namespace kiln::lane
