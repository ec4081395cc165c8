#include "net/zap_server.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/net/farm_sockets.h"
#include "tests/net/raw_peer.h"

namespace kiln::net {
namespace {

using test::happens;
using test::KeyedFarm;
using test::kSoon;
using test::next_message;

TEST(ZapServerTest, NoKeyedDoorIsOpenedBeforeIt) {
  ZmqContext context;
  const CurveKeyPair keys = generate_curve_keys().value();
  const auto early = RouterSocket::bind(context, test::kAnyLoopbackPort, {keys, {}});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(early.error().message.find("every key would be let in"), std::string::npos);
  ZapServer zap = ZapServer::start(context, {}).value();
  EXPECT_TRUE(zap.ready());
  EXPECT_TRUE(RouterSocket::bind(context, test::kAnyLoopbackPort, {keys, {}}));
  zap.stop();
  EXPECT_FALSE(zap.ready());
  EXPECT_FALSE(RouterSocket::bind(context, test::kAnyLoopbackPort, {keys, {}}));
}

TEST(ZapServerTest, AContextHasOneAndAnotherAfterIt) {
  ZmqContext context;
  ZapServer first = ZapServer::start(context, {}).value();
  EXPECT_EQ(ZapServer::start(context, {}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(first.ready());
  first.stop();
  first.stop();  // again does no harm
  EXPECT_TRUE(ZapServer::start(context, {}));
}

TEST(ZapServerTest, AnAllowedKeyIsHeardUnderItsName) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  DealerSocket client = farm.connected(farm.client);
  ASSERT_TRUE(worker.send("from a worker"));
  const auto first = next_message(farm.router);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->bytes, "from a worker");
  EXPECT_EQ(first->peer, (AuthenticatedPeer{false, PeerRole::kWorker, "gpu-1"}));
  EXPECT_TRUE(first->peer.may_act_as(PeerRole::kWorker));
  EXPECT_FALSE(first->peer.may_act_as(PeerRole::kClient));
  EXPECT_FALSE(first->peer.may_act_as(PeerRole::kAdmin));
  EXPECT_EQ(first->address, "127.0.0.1");
  ASSERT_TRUE(client.send("from a client"));
  const auto second = next_message(farm.router);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->peer, (AuthenticatedPeer{false, PeerRole::kClient, "ann"}));
  ASSERT_TRUE(farm.router.send(first->identity, "to the worker"));
  ASSERT_TRUE(farm.router.send(second->identity, "to the client"));
  EXPECT_EQ(next_message(worker), "to the worker");
  EXPECT_EQ(next_message(client), "to the client");
  EXPECT_EQ(farm.zap.stats().accepted, 2U);
  EXPECT_EQ(farm.zap.stats().denied, 0U);
}

TEST(ZapServerTest, AnUnknownKeyIsRefusedAndToldWhy) {
  KeyedFarm farm;
  DealerSocket stranger = farm.dealer_of(farm.stranger);
  const Status status = stranger.wait_connected(kSoon);
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 5);
  EXPECT_NE(status.error().message.find("not on the coordinator's allow-list"), std::string::npos);
  EXPECT_NE(status.error().message.find(farm.stranger.public_z85), std::string::npos);
  EXPECT_EQ(stranger.connection().state, ConnectionState::kRefused);
  EXPECT_FALSE(stranger.send("let me in"));
  EXPECT_GE(farm.zap.stats().denied, 1U);
  EXPECT_EQ(farm.zap.stats().accepted, 0U);
  EXPECT_FALSE(farm.router.receive());
  EXPECT_EQ(farm.router.stats().connections, 0U);
}

TEST(ZapServerTest, KeysBeyondThoseThatTheLogNamesAreCounted) {
  KeyedFarm farm;
  for (std::size_t i = 0; i < kDeniedKeysNamedMax + 2; ++i) {
    DealerSocket stranger = farm.dealer_of(generate_curve_keys().value());
    ASSERT_FALSE(stranger.wait_connected(kSoon));
    EXPECT_EQ(farm.zap.stats().unnamed > 0, i >= kDeniedKeysNamedMax);
  }
  EXPECT_GE(farm.zap.stats().denied, kDeniedKeysNamedMax + 2);
  EXPECT_GE(farm.zap.stats().unnamed, 2U);
}

TEST(ZapServerTest, AListThatGrowsLetsARefusedPeerInByItself) {
  KeyedFarm farm;
  DealerSocket stranger = farm.dealer_of(farm.stranger);
  ASSERT_FALSE(stranger.wait_connected(kSoon));
  AllowList longer = farm.usual_list();
  ASSERT_TRUE(longer.add({"new", PeerRole::kAdmin, farm.stranger.public_z85}));
  farm.zap.set_allow_list(longer);
  EXPECT_EQ(farm.zap.allow_list()->peers().size(), 3U);
  ASSERT_TRUE(happens([&] { return stranger.connection().state == ConnectionState::kConnected; }));
  ASSERT_TRUE(stranger.send("hello"));
  EXPECT_EQ(next_message(farm.router)->peer, (AuthenticatedPeer{false, PeerRole::kAdmin, "new"}));
}

TEST(ZapServerTest, AListThatShrinksSilencesWhoIsConnected) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  DealerSocket client = farm.connected(farm.client);
  ASSERT_TRUE(worker.send("first"));
  const std::string identity = next_message(farm.router)->identity;
  farm.zap.set_allow_list(test::list_of({{"bob", PeerRole::kAdmin, farm.client.public_z85}}));
  ASSERT_TRUE(worker.send("second"));
  ASSERT_TRUE(happens([&] {
    EXPECT_FALSE(farm.router.receive());
    return farm.router.stats().dropped_not_allowed == 1;
  }));
  EXPECT_EQ(farm.router.send(identity, "secret").error().code, ErrorCode::kUnavailable);
  // A key that got another name and role speaks as that, without connecting again.
  ASSERT_TRUE(client.send("third"));
  EXPECT_EQ(next_message(farm.router)->peer, (AuthenticatedPeer{false, PeerRole::kAdmin, "bob"}));
  // A worker that is not answered any more looks again, and hears why.
  worker.reconnect();
  EXPECT_EQ(worker.wait_connected(kSoon).error().code, ErrorCode::kUnauthenticated);
}

TEST(ZapServerTest, WhenItHasStoppedNothingIsHeardAndNothingIsSaid) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  ASSERT_TRUE(worker.send("before"));
  const std::string identity = next_message(farm.router)->identity;
  farm.zap.stop();
  ASSERT_TRUE(worker.send("after"));
  ASSERT_TRUE(happens([&] {
    EXPECT_FALSE(farm.router.receive());
    return farm.router.stats().dropped_check_down == 1;
  }));
  EXPECT_EQ(farm.router.send(identity, "x").error().code, ErrorCode::kUnavailable);
}

// libzmq fails open: while no ZAP thread runs it lets every key in, and hands on the properties that the peer itself
// claims. Such a connection stays unheard when the check is back.
TEST(ZapServerTest, WhoCameInWhileItWasDownIsNeverHeard) {
  KeyedFarm farm;
  farm.zap.stop();
  DealerSocket stranger = farm.connected(farm.stranger);  // let in, indeed
  DealerSocket worker = farm.connected(farm.worker);
  test::RawPeer liar(farm.router.endpoint());
  ASSERT_TRUE(liar.handshake_with_keys(farm.stranger.public_z85, farm.stranger.secret_z85, farm.server.public_z85,
                                       {{"User-Id", "worker:gpu-1"},
                                        {"X-Kiln-Key", farm.worker.public_z85},
                                        {"X-Kiln-Seal", std::string(32, '0')}}));
  const ZapServer again = ZapServer::start(farm.context, farm.usual_list()).value();
  ASSERT_TRUE(stranger.send("I am nobody"));
  ASSERT_TRUE(worker.send("I am on the list, but was not checked"));
  ASSERT_TRUE(liar.send_message("I am gpu-1"));
  ASSERT_TRUE(happens([&] {
    const auto heard = farm.router.receive();
    EXPECT_FALSE(heard) << heard->bytes;
    return farm.router.stats().dropped_unchecked == 3;
  })) << farm.router.stats().dropped_unchecked;
  // Whoever connects from now on is heard.
  worker.reconnect();
  ASSERT_TRUE(worker.wait_connected(kSoon));
  ASSERT_TRUE(worker.send("checked"));
  EXPECT_EQ(next_message(farm.router)->bytes, "checked");
}

TEST(ZapServerTest, WhatAnAllowedPeerClaimsToBeChangesNothing) {
  KeyedFarm farm;
  test::RawPeer client(farm.router.endpoint());
  ASSERT_TRUE(client.handshake_with_keys(farm.client.public_z85, farm.client.secret_z85, farm.server.public_z85,
                                         {{"User-Id", "worker:gpu-1"}, {"X-Kiln-Key", farm.worker.public_z85}}));
  ASSERT_TRUE(client.send_message("I am gpu-1"));
  const auto message = next_message(farm.router);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->peer, (AuthenticatedPeer{false, PeerRole::kClient, "ann"}));
}

TEST(ZapServerTest, TheListIsReplacedWhilePeersConnect) {
  KeyedFarm farm;
  std::atomic<bool> stop = false;
  std::thread replacer([&] {
    while (!stop) farm.zap.set_allow_list(farm.usual_list());
  });
  for (int i = 0; i < 20; ++i) {
    DealerSocket worker = farm.connected(farm.worker);
    ASSERT_TRUE(worker.send("hello"));
    ASSERT_TRUE(next_message(farm.router));
  }
  stop = true;
  replacer.join();
  EXPECT_EQ(farm.zap.stats().denied, 0U);
}

}  // namespace
}  // namespace kiln::net
