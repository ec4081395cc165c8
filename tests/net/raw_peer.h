// A peer that speaks ZMTP by hand, so that it can say what libzmq never would.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace kiln::net::test {

class RawPeer {
 public:
  // To "tcp://127.0.0.1:PORT".
  explicit RawPeer(const std::string& endpoint);

  bool send(std::string_view bytes);
  // Exactly so many bytes; empty when the other end closed or kSoon passed.
  std::string read(std::size_t size);
  // True when the other end closes, whatever it says before.
  bool is_closed();
  // True when closing is the next thing it does: at once, and not when a heartbeat is missed.
  bool is_closed_without_a_word();

  // Handshakes with `properties` in the peer's own metadata ("Socket-Type" is added).
  bool greet(std::string_view mechanism);
  bool handshake_without_keys(const std::map<std::string, std::string>& properties);
  bool handshake_with_keys(const std::string& public_z85, const std::string& secret_z85,
                           const std::string& server_z85, const std::map<std::string, std::string>& properties);
  // One message of one part, after the handshake.
  bool send_message(std::string_view bytes);
  // A part with more to come; without keys only.
  bool send_part(std::string_view bytes, bool more);

 private:
  using Key = std::array<std::uint8_t, 32>;
  bool send_command(std::string_view body);
  std::string read_frame();
  UniqueFd socket_;
  bool encrypted_ = false;
  Key server_transient_{};
  Key own_transient_secret_{};
  std::uint64_t nonce_ = 0;
};

[[nodiscard]] std::string metadata_of(const std::map<std::string, std::string>& properties);

}  // namespace kiln::net::test
