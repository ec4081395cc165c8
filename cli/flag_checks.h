// Checks of flags that several commands have: what is wrong ends with one line before anything is started.
#pragma once

#include "base/result.h"

namespace CLI {
class Option;
}
namespace kiln::coordinator {
struct CoordinatorOptions;
}

namespace kiln::cli {

enum class Bytes { kAny, kSome };  // kSome: not 0
// "20GiB"; its variable, a number or a text, gets the count.
CLI::Option* takes_bytes(CLI::Option* option, Bytes least);

// Every address must be one. Exit code 2 names the flag.
[[nodiscard]] Status check_doors(const coordinator::CoordinatorOptions& options);

}  // namespace kiln::cli
