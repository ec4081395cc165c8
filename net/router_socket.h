// The coordinator's end: many peers, each known by who its key says it is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/socket_types.h"
#include "net/zmq_context.h"

namespace kiln::net {

struct Received {
  // Stands for one connection, for send(); opaque. A peer that connects again has another, and nobody can ask for
  // the one of somebody else.
  std::string identity;
  AuthenticatedPeer peer;
  std::string address;  // the peer's IP address; for messages to people
  std::string bytes;
};

// Owned by one thread. Nothing here blocks.
//
// In a poll loop: fd() tells only that something changed, once, and any call on this object may take that news.
// So wait on it only after pending() has said false, and ask pending() again after whatever else was done:
//   for (;;) { while (socket.pending()) { if (auto m = socket.receive()) …; } poll(fd); … }
class RouterSocket {
 public:
  // Without keys the endpoint must be one that other machines cannot reach (exit code 78); with keys the context's
  // ZapServer must run. Port 0 or '*' takes a free one. A port or path in use: kUnavailable, exit code 75.
  [[nodiscard]] static Result<RouterSocket> bind(ZmqContext& context, std::string_view endpoint,
                                                 const SocketSecurity& security);
  RouterSocket(RouterSocket&&) noexcept;
  RouterSocket& operator=(RouterSocket&&) noexcept;
  ~RouterSocket();

  [[nodiscard]] const std::string& endpoint() const;  // as bound: with its port
  [[nodiscard]] int fd() const;
  [[nodiscard]] bool pending() const;

  // nullopt: nothing is there, or nothing but messages that were dropped and counted.
  [[nodiscard]] std::optional<Received> receive();

  // kUnavailable: that connection is gone, or its key is off the allow-list. kResourceExhausted: the peer does not
  // read, and kRouterQueueMax messages wait for it. kInvalidArgument: more than kSocketMessageBytesMax.
  [[nodiscard]] Status send(std::string_view identity, std::string_view bytes);

  [[nodiscard]] const SocketStats& stats() const;

 private:
  struct Impl;
  explicit RouterSocket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
