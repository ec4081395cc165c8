// What a rank finds out about its host before it introduces itself.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace kiln::cli {

[[nodiscard]] std::string host_name();

// Open MPI binds the ranks of a small launch to one core each unless it is told otherwise. That suits programs of one
// thread; lanes have many. Where nobody asked for a binding, every processor that the host gives is taken again.
void undo_default_binding();
// Of the processors that this process may use, lowest last: the same text for ranks that share them.
[[nodiscard]] std::string cpu_mask();

// This host's address on the way to another one. Nothing is sent.
[[nodiscard]] Result<std::string> address_towards(const std::string& host);
// A port of that address which nobody has, outside the range that the kernel hands out by itself, so that it is still
// free when the coordinator is started. Exit code 75: none is to be had.
[[nodiscard]] Result<std::uint16_t> free_port(const std::string& address);

}  // namespace kiln::cli
