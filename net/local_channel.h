// Messages with descriptors over a private Unix stream socket: a length, then the bytes. One owner thread
// sends and one receives; they may be two.
#pragma once

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

 private:
  UniqueFd socket_;
};

}  // namespace kiln::net
