// Which class of failure it was, from what is known of it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/process.h"
#include "net/farm_tasks.h"
#include "net/lane_messages.h"

namespace kiln::worker {

// Of this process's own work: input that is bad is bad everywhere.
[[nodiscard]] net::TaskFault fault_of(const Error& error);
// What a lane says of its task. A lane that had no memory may say it in its own words only.
[[nodiscard]] net::TaskFault fault_of(const net::Fault& fault);

// Of a lane that died. `killed_for_memory`: the kernel killed for memory while it ran.
struct Death {
  ExitStatus status;
  std::string_view log;  // its last words
  bool killed_for_memory = false;
};
[[nodiscard]] net::FailureKind kind_of(const Death& death);

}  // namespace kiln::worker
