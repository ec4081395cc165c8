// Real sockets on this machine: a context with keys, lists and waiting with a deadline.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "net/dealer_socket.h"
#include "net/router_socket.h"
#include "net/zap_server.h"

namespace kiln::net::test {

inline constexpr std::chrono::milliseconds kSoon{10'000};     // for what must happen
inline constexpr std::chrono::milliseconds kPollStep{2};
inline constexpr const char* kAnyLoopbackPort = "tcp://127.0.0.1:0";

inline bool happens(const std::function<bool()>& condition, std::chrono::milliseconds deadline = kSoon) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(kPollStep);  // between two looks, not instead of one
  }
  return true;
}

inline std::optional<Received> next_message(RouterSocket& router) {
  std::optional<Received> message;
  happens([&] { return (message = router.receive()).has_value(); });
  return message;
}

inline std::optional<std::string> next_message(DealerSocket& dealer) {
  std::optional<std::string> message;
  happens([&] { return (message = dealer.receive()).has_value(); });
  return message;
}

inline AllowList list_of(const std::vector<AllowedPeer>& peers) {
  AllowList list;
  for (const AllowedPeer& peer : peers) EXPECT_TRUE(list.add(peer));
  return list;
}

// A keyed door and the keys of three who might knock. The list has worker and client; `stranger` is on none.
class KeyedFarm {
 public:
  ZmqContext context;
  CurveKeyPair server = generate_curve_keys().value();
  CurveKeyPair worker = generate_curve_keys().value();
  CurveKeyPair client = generate_curve_keys().value();
  CurveKeyPair stranger = generate_curve_keys().value();
  ZapServer zap = ZapServer::start(context, usual_list()).value();
  RouterSocket router = RouterSocket::bind(context, kAnyLoopbackPort, {server, {}}).value();

  [[nodiscard]] AllowList usual_list() const {
    return list_of({{"gpu-1", PeerRole::kWorker, worker.public_z85}, {"ann", PeerRole::kClient, client.public_z85}});
  }
  [[nodiscard]] SocketSecurity security_of(const CurveKeyPair& keys) const { return {keys, server.public_z85}; }
  [[nodiscard]] DealerSocket dealer_of(const CurveKeyPair& keys) {
    return DealerSocket::connect(context, router.endpoint(), security_of(keys)).value();
  }
  [[nodiscard]] DealerSocket connected(const CurveKeyPair& keys) {
    DealerSocket dealer = dealer_of(keys);
    const Status status = dealer.wait_connected(kSoon);
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
    return dealer;
  }
};

}  // namespace kiln::net::test
