// Listening, connecting, and blocking reads and writes that end by a deadline. Sockets are close-on-exec,
// without delay (TCP_NODELAY), and never raise SIGPIPE.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace kiln::net {

using Deadline = std::chrono::steady_clock::time_point;
[[nodiscard]] inline Deadline deadline_in(std::chrono::milliseconds duration) {
  return std::chrono::steady_clock::now() + duration;
}

struct HostPort {
  std::string host;  // name or address, without brackets
  std::uint16_t port = 0;

  bool operator==(const HostPort&) const = default;
  [[nodiscard]] std::string text() const;  // "127.0.0.1:80", "[::1]:80"
};

// "HOST:PORT", "[v6]:PORT".
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);
// Whether every address that the host stands for is of this machine's loopback.
[[nodiscard]] Result<bool> is_loopback(const std::string& host);

struct Listener {
  UniqueFd socket;  // non-blocking
  HostPort bound;   // numeric, with the port that port 0 became
};
// Exit code 75 when the address is in use.
[[nodiscard]] Result<Listener> listen_tcp(const HostPort& address);
// kUnavailable: nobody there, or not by the deadline. The socket is non-blocking.
[[nodiscard]] Result<UniqueFd> connect_tcp(const HostPort& address, Deadline deadline);

// Sockets of connect_tcp. 0: the peer closed. kUnavailable: the connection broke; kDeadlineExceeded.
[[nodiscard]] Result<std::size_t> receive_some(int socket, std::span<std::byte> bytes, Deadline deadline);
[[nodiscard]] Status send_all(int socket, std::span<const std::byte> bytes, Deadline deadline);

}  // namespace kiln::net
