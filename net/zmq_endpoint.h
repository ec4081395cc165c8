// Endpoints: "tcp://HOST:PORT" and "ipc://PATH", read before libzmq sees them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln::net {

enum class EndpointUse { kBind, kConnect };

struct Endpoint {
  std::string text;  // for libzmq
  bool is_ipc = false;
  bool is_ipv6 = false;
  std::string host;  // tcp; without brackets; "*": all addresses
  std::string port;  // tcp; a number, or "*": any free one
  std::string path;  // ipc; "@name" has no file
};

// kBind allows host '*' and port '*' or 0; kConnect does not. "localhost" becomes 127.0.0.1.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text, EndpointUse use);
// ipc, 127.0.0.0/8 or ::1: bytes of it never leave this machine. A name other than localhost does not count.
[[nodiscard]] bool stays_on_this_machine(const Endpoint& endpoint);

// libzmq deletes whatever has the name of an ipc endpoint before it binds: refused when that is no socket, or
// when somebody answers there (exit code 75).
[[nodiscard]] Status check_ipc_path_is_free(const Endpoint& endpoint);

}  // namespace kiln::net
