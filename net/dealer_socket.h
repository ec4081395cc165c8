// The end that connects to a coordinator: worker or client.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/socket_types.h"
#include "net/zmq_context.h"

namespace kiln::net {

inline constexpr std::chrono::milliseconds kRefusedRetryFirst{1'000};
inline constexpr std::chrono::milliseconds kRefusedRetryMost{30'000};

enum class ConnectionState {
  kNotConnected,
  kConnected,
  kRefused,  // the other end answered, and said no. Tried again after a while, since lists change; stays until then
};

struct Connection {
  ConnectionState state = ConnectionState::kNotConnected;
  // How often a connection was made. A change means that the other end knows nothing of this program, and that
  // messages from before may be lost.
  std::uint64_t made = 0;
  std::string reason;  // one line: why not; empty while connected and before anything happened
};

// Owned by one thread. Nothing but wait() and wait_connected() blocks. It connects, and connects again, by itself
// as long as something of it is called once in a while. As with RouterSocket, wait on fd() only when pending() is
// false, and look again after every other call; monitor_fd() likewise, for connection().
class DealerSocket {
 public:
  // Begins to connect. Without keys the endpoint must be on this machine (exit code 78).
  [[nodiscard]] static Result<DealerSocket> connect(ZmqContext& context, std::string_view endpoint,
                                                    const SocketSecurity& security);
  DealerSocket(DealerSocket&&) noexcept;
  DealerSocket& operator=(DealerSocket&&) noexcept;
  ~DealerSocket();

  [[nodiscard]] int fd() const;
  [[nodiscard]] int monitor_fd() const;
  [[nodiscard]] bool pending() const;
  [[nodiscard]] std::optional<std::string> receive();

  // kUnavailable: not connected; nothing is kept for later, since the coordinator that comes back may know nothing of
  // what it would be told. kResourceExhausted: kDealerQueueMax messages wait already. kInvalidArgument: too large.
  [[nodiscard]] Status send(std::string_view bytes);

  [[nodiscard]] const Connection& connection();
  // Gives the connection up and makes another: for an owner that has not heard anything for too long.
  void reconnect();

  // Until a message is there or the connection changed; false: the deadline passed.
  [[nodiscard]] bool wait(std::chrono::milliseconds deadline);
  // kUnauthenticated (exit code 5): refused. kUnavailable (exit code 4): nobody answered in time.
  [[nodiscard]] Status wait_connected(std::chrono::milliseconds deadline);

  [[nodiscard]] const SocketStats& stats() const;

 private:
  struct Impl;
  explicit DealerSocket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
