#include "net/dealer_socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>

#include "base/fd.h"
#include "tests/net/farm_sockets.h"

namespace kiln::net {
namespace {

using test::happens;
using test::kAnyLoopbackPort;
using test::KeyedFarm;
using test::kSoon;
using test::next_message;

// A TCP socket of this machine that has a port, and does not listen.
struct PlainSocket {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string endpoint;

  PlainSocket() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
};

std::optional<RouterSocket> bind_soon(ZmqContext& context, const std::string& endpoint, const SocketSecurity& security) {
  std::optional<RouterSocket> router;
  happens([&] {
    auto bound = RouterSocket::bind(context, endpoint, security);
    if (bound) router = std::move(*bound);
    return router.has_value();
  });
  return router;
}

TEST(DealerSocketTest, ConnectsWhenTheCoordinatorComesLater) {
  ZmqContext context;
  const std::string endpoint = PlainSocket().endpoint;  // free again
  DealerSocket dealer = DealerSocket::connect(context, endpoint, {}).value();
  EXPECT_EQ(dealer.connection().state, ConnectionState::kNotConnected);
  const Status early = dealer.wait_connected(std::chrono::milliseconds(50));
  ASSERT_FALSE(early);
  EXPECT_EQ(exit_code(early.error()), 4);
  EXPECT_NE(early.error().message.find(endpoint), std::string::npos) << early.error().message;
  EXPECT_EQ(dealer.send("x").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(dealer.stats().refused_peer_gone, 1U);
  auto router = bind_soon(context, endpoint, {});
  ASSERT_TRUE(router);
  ASSERT_TRUE(dealer.wait_connected(kSoon));
  EXPECT_EQ(dealer.connection().made, 1U);
  ASSERT_TRUE(dealer.send("hello"));
  EXPECT_EQ(next_message(*router)->bytes, "hello");
}

TEST(DealerSocketTest, ConnectsAgainWhenTheCoordinatorComesBack) {
  ZmqContext context;
  const ZapServer zap = ZapServer::start(context, {}).value();
  const CurveKeyPair server = generate_curve_keys().value();
  const CurveKeyPair keys = generate_curve_keys().value();
  context.key_check()->set_allow_list(test::list_of({{"gpu-1", PeerRole::kWorker, keys.public_z85}}));
  auto router = bind_soon(context, kAnyLoopbackPort, {server, {}});
  const std::string endpoint = router->endpoint();
  DealerSocket dealer = DealerSocket::connect(context, endpoint, {keys, server.public_z85}).value();
  ASSERT_TRUE(dealer.wait_connected(kSoon));
  ASSERT_TRUE(dealer.send("first"));
  const std::string identity = next_message(*router)->identity;
  router.reset();
  ASSERT_TRUE(happens([&] { return dealer.connection().state == ConnectionState::kNotConnected; }));
  EXPECT_NE(dealer.connection().reason.find("was lost"), std::string::npos);
  EXPECT_EQ(dealer.send("to nobody").error().code, ErrorCode::kUnavailable);
  router = bind_soon(context, endpoint, {server, {}});
  ASSERT_TRUE(router);
  ASSERT_TRUE(dealer.wait_connected(kSoon));
  EXPECT_EQ(dealer.connection().made, 2U);
  EXPECT_EQ(dealer.connection().reason, "");
  ASSERT_TRUE(dealer.send("second"));
  const auto message = next_message(*router);
  EXPECT_EQ(message->bytes, "second");  // and nothing of what was refused
  ASSERT_TRUE(router->send(message->identity, "welcome back"));
  EXPECT_EQ(next_message(dealer), "welcome back");
}

TEST(DealerSocketTest, ACoordinatorThatDoesNotReadFillsTheQueue) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  const std::string bytes(16U << 10U, 'k');
  int sent = 0;
  Status status;
  while ((status = worker.send(bytes))) ++sent;
  EXPECT_GE(sent, kDealerQueueMax);
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
  EXPECT_GE(worker.stats().refused_queue_full, 1U);
  int received = 0;
  ASSERT_TRUE(happens([&] {
    while (farm.router.receive()) ++received;
    return received >= sent;
  })) << received << " of " << sent;
  ASSERT_TRUE(happens([&] { return worker.send("again").has_value(); }));
}

TEST(DealerSocketTest, WithoutAKeyAKeyedDoorStaysShut) {
  KeyedFarm farm;
  DealerSocket dealer = DealerSocket::connect(farm.context, farm.router.endpoint(), {}).value();
  const Status status = dealer.wait_connected(kSoon);
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 5);
  EXPECT_NE(status.error().message.find("asks for a key"), std::string::npos) << status.error().message;
  EXPECT_FALSE(farm.router.receive());
  ASSERT_TRUE(happens([&] {
    EXPECT_FALSE(farm.router.receive());
    return farm.router.stats().handshakes_failed > 0;
  }));
  EXPECT_EQ(farm.router.stats().connections, 0U);
}

TEST(DealerSocketTest, AKeyedPeerDoesNotTrustADoorWithoutKeys) {
  KeyedFarm farm;
  RouterSocket open = RouterSocket::bind(farm.context, kAnyLoopbackPort, {}).value();
  DealerSocket dealer = DealerSocket::connect(farm.context, open.endpoint(), farm.security_of(farm.worker)).value();
  const Status status = dealer.wait_connected(kSoon);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("not trusted"), std::string::npos) << status.error().message;
  EXPECT_FALSE(open.receive());
}

TEST(DealerSocketTest, AnotherCoordinatorThanTheOneThatIsTrustedLearnsNothing) {
  KeyedFarm farm;
  DealerSocket dealer = DealerSocket::connect(farm.context, farm.router.endpoint(),
                                              {farm.worker, farm.stranger.public_z85}).value();
  ASSERT_TRUE(happens([&] { return !dealer.connection().reason.empty(); }));
  const Status status = dealer.wait_connected(std::chrono::milliseconds(100));
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 4);
  EXPECT_NE(status.error().message.find("public key is another"), std::string::npos) << status.error().message;
  EXPECT_FALSE(farm.router.receive());
  EXPECT_EQ(farm.zap.stats().accepted, 0U);
}

TEST(DealerSocketTest, OffThisMachineItTakesKeys) {
  KeyedFarm farm;
  for (const char* endpoint : {"tcp://192.0.2.1:7700", "tcp://farm.example:7700", "tcp://[2001:db8::1]:7700"}) {
    const auto dealer = DealerSocket::connect(farm.context, endpoint, {});
    ASSERT_FALSE(dealer) << endpoint;
    EXPECT_EQ(exit_code(dealer.error()), 78);
  }
  EXPECT_FALSE(DealerSocket::connect(farm.context, farm.router.endpoint(), {farm.worker, ""}));
  EXPECT_FALSE(DealerSocket::connect(farm.context, farm.router.endpoint(), {farm.worker, "no key"}));
  EXPECT_FALSE(DealerSocket::connect(farm.context, farm.router.endpoint(), {{}, farm.server.public_z85}));
}

TEST(DealerSocketTest, ConnectsAnewWhenAsked) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  ASSERT_TRUE(worker.send("first"));
  const std::string first = next_message(farm.router)->identity;
  worker.reconnect();  // the new connection may be there before anybody can see that there was none
  ASSERT_TRUE(worker.wait_connected(kSoon));
  EXPECT_EQ(worker.connection().made, 2U);
  ASSERT_TRUE(worker.send("second"));
  EXPECT_NE(next_message(farm.router)->identity, first);
  ASSERT_TRUE(happens([&] { return !farm.router.send(first, "x"); }));
}

// libzmq knows of a connection some time before it sends through it, and would use the one before that.
TEST(DealerSocketTest, WhatIsSentTheMomentAConnectionIsMadePasses) {
  ZmqContext context;
  RouterSocket router = RouterSocket::bind(context, kAnyLoopbackPort, {}).value();
  DealerSocket dealer = DealerSocket::connect(context, router.endpoint(), {}).value();
  ASSERT_TRUE(dealer.wait_connected(kSoon));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(dealer.send("before"));  // the last time for a while that the socket looked for news
    dealer.reconnect();
    const auto until = std::chrono::steady_clock::now() + kSoon;
    while (dealer.connection().state != ConnectionState::kConnected) ASSERT_LT(std::chrono::steady_clock::now(), until);
    const Status sent = dealer.send("at once");
    ASSERT_TRUE(sent) << sent.error().message << " in round " << i;
    std::optional<Received> message;
    do {
      message = next_message(router);
      ASSERT_TRUE(message);
    } while (message->bytes != "at once");
  }
}

TEST(DealerSocketTest, WaitingEndsWithAMessageAChangeOrTheDeadline) {
  KeyedFarm farm;
  DealerSocket worker = farm.dealer_of(farm.worker);
  ASSERT_TRUE(worker.wait(kSoon));
  ASSERT_TRUE(worker.wait_connected(kSoon));
  EXPECT_FALSE(worker.wait(std::chrono::milliseconds(20)));
  ASSERT_TRUE(worker.send("hello"));
  const auto message = next_message(farm.router);
  ASSERT_TRUE(farm.router.send(message->identity, "answer"));
  EXPECT_TRUE(worker.wait(kSoon));
  EXPECT_EQ(worker.receive(), "answer");
  EXPECT_FALSE(worker.receive());
}

TEST(DealerSocketTest, WhatIsNoCoordinatorIsSaid) {
  const PlainSocket listener;
  ASSERT_EQ(::listen(listener.fd.get(), 16), 0);
  ZmqContext context;
  DealerSocket dealer = DealerSocket::connect(context, listener.endpoint, {}).value();
  std::thread server([&] {
    const UniqueFd peer(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(write_fully(peer.get(), std::as_bytes(std::span(std::string_view("HTTP/1.1 400 Bad Request\r\n\r\n")))));
  });
  server.join();
  ASSERT_TRUE(happens([&] { return !dealer.connection().reason.empty(); }));
  EXPECT_NE(dealer.connection().state, ConnectionState::kConnected);
}

}  // namespace
}  // namespace kiln::net
