// Messages with descriptors over a private Unix stream socket: a length, then the bytes. One owner thread
// sends and one receives; they may be two.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace kiln::net {

inline constexpr std::uint32_t kLocalMessageBytesMax = 64U << 20U;
inline constexpr std::size_t kLocalDescriptorsMax = 64;

struct LocalMessage {
  std::string bytes;
  std::vector<UniqueFd> descriptors;
};

struct LocalArrival {
  std::optional<LocalMessage> message;  // a whole one
  bool closed = false;                  // the peer is gone, and no message comes any more
};

class LocalChannel {
 public:
  LocalChannel() = default;
  explicit LocalChannel(UniqueFd socket) : socket_(std::move(socket)) {}
  // Two connected ends, both close-on-exec.
  [[nodiscard]] static Result<std::pair<LocalChannel, LocalChannel>> make_pair();

  [[nodiscard]] int fd() const { return socket_.get(); }  // readable when a message may be there
  [[nodiscard]] bool valid() const { return socket_.valid(); }
  void close() { socket_.reset(); }

  // Blocks while the peer's buffer is full, `deadline` at most. Descriptors stay the caller's.
  [[nodiscard]] Status send(std::string_view bytes, const std::vector<int>& descriptors,
                            std::chrono::milliseconds deadline);
  // Blocks for a whole message. nullopt: the peer closed.
  [[nodiscard]] Result<std::optional<LocalMessage>> receive();
  // Never blocks, whatever the peer does: it may stop in the middle of a message, and the rest is taken when it comes.
  [[nodiscard]] Result<LocalArrival> receive_ready();

 private:
  [[nodiscard]] Result<LocalArrival> advance(int flags);
  [[nodiscard]] Status begin_body();
  [[nodiscard]] Result<LocalArrival> finish();

  UniqueFd socket_;
  std::array<char, 8> head_{};  // of the message that is on its way: bytes, descriptors
  std::size_t done_ = 0;        // of its head and body
  LocalMessage partial_;
};

}  // namespace kiln::net
