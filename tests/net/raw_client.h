// Bytes to a port and back, as no decent client would send them.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

#include "net/tcp_socket.h"

namespace kiln::net::test {

inline constexpr std::chrono::milliseconds kPatience{20'000};

class RawClient {
 public:
  explicit RawClient(const HostPort& server) {
    auto connected = connect_tcp(server, deadline_in(kPatience));
    EXPECT_TRUE(connected) << connected.error().message;
    if (connected) socket_ = std::move(*connected);
  }
  bool send(std::string_view text) {
    return send_all(socket_.get(), std::as_bytes(std::span(text)), deadline_in(kPatience)).has_value();
  }
  void close_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  void close() { socket_.reset(); }
  // Until `text` ends so; what came when the server closed first.
  std::string read_until(std::string_view end) {
    std::string text;
    while (!text.ends_with(end)) {
      char c = 0;
      const auto n = receive_some(socket_.get(), std::as_writable_bytes(std::span(&c, 1)), deadline_in(kPatience));
      EXPECT_TRUE(n || n.error().code == ErrorCode::kUnavailable) << n.error().message;
      if (!n || *n == 0) break;
      text.push_back(c);
    }
    return text;
  }
  std::string read_head() { return read_until("\r\n\r\n"); }
  std::string read_to_close() { return read_until(std::string_view("\0never\0", 7)); }

 private:
  UniqueFd socket_;
};

template <typename Condition>
bool eventually(Condition&& condition) {
  const Deadline until = deadline_in(kPatience);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::usleep(2'000);
  }
  return true;
}

}  // namespace kiln::net::test
