// Peers that do what libzmq would not: every door stays up for the others, and nothing of it is heard.
#include <gtest/gtest.h>

#include "tests/net/farm_sockets.h"
#include "tests/net/raw_peer.h"

namespace kiln::net {
namespace {

using test::happens;
using test::kAnyLoopbackPort;
using test::KeyedFarm;
using test::kSoon;
using test::next_message;
using test::RawPeer;

void expect_nothing_until(RouterSocket& router, const std::function<bool()>& condition) {
  EXPECT_TRUE(happens([&] {
    const auto heard = router.receive();
    EXPECT_FALSE(heard) << heard->bytes.substr(0, 100);
    return condition();
  }));
}

void expect_serves(KeyedFarm& farm) {
  DealerSocket worker = farm.connected(farm.worker);
  ASSERT_TRUE(worker.send("still there?"));
  const auto message = next_message(farm.router);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->bytes, "still there?");
}

TEST(HostilePeerTest, NothingIsHeardWithoutAKeyAtAKeyedDoor) {
  KeyedFarm farm;
  const std::string garbage(300, '\x17');
  const std::string endless_greeting(64, '\xFF');
  for (const std::string& bytes : {garbage, endless_greeting, std::string("GET / HTTP/1.1\r\n\r\n") + garbage,
                                   std::string("\x01\x00\x06\x00hello", 9)}) {
    RawPeer peer(farm.router.endpoint());
    ASSERT_TRUE(peer.send(bytes));
    EXPECT_TRUE(peer.is_closed());
  }
  RawPeer without_keys(farm.router.endpoint());
  static_cast<void>(without_keys.handshake_without_keys({{"User-Id", "worker:gpu-1"}}));
  without_keys.send_message("let me in");
  EXPECT_TRUE(without_keys.is_closed());
  expect_nothing_until(farm.router, [&] { return farm.router.stats().handshakes_failed >= 1; });
  EXPECT_EQ(farm.router.stats().connections, 0U);
  expect_serves(farm);
}

TEST(HostilePeerTest, TooLargeAMessageEndsItsConnectionAndNoOther) {
  KeyedFarm farm;
  RouterSocket open = RouterSocket::bind(farm.context, kAnyLoopbackPort, {}).value();
  RawPeer peer(open.endpoint());
  ASSERT_TRUE(peer.handshake_without_keys({}));
  ASSERT_TRUE(peer.send_message("small"));
  EXPECT_EQ(next_message(open)->bytes, "small");
  // Beyond the bound of libzmq: the announcement is enough.
  static_cast<void>(peer.send(std::string("\x02\x00\x00\x00\x00\x10\x00\x00\x00", 9)));
  EXPECT_TRUE(peer.is_closed_without_a_word());
  expect_nothing_until(open, [&] { return open.stats().disconnects == 1; });
  // Between ours and libzmq's, which leaves room for encryption.
  RawPeer other(open.endpoint());
  ASSERT_TRUE(other.handshake_without_keys({}));
  ASSERT_TRUE(other.send_message(std::string(kSocketMessageBytesMax + 1, 'k')));
  expect_nothing_until(open, [&] { return open.stats().dropped_too_large == 1; });
  ASSERT_TRUE(other.send_message("small again"));
  EXPECT_EQ(next_message(open)->bytes, "small again");
  // The same, encrypted.
  RawPeer keyed(farm.router.endpoint());
  ASSERT_TRUE(keyed.handshake_with_keys(farm.client.public_z85, farm.client.secret_z85, farm.server.public_z85, {}));
  static_cast<void>(keyed.send_message(std::string(kSocketMessageBytesMax + 1000, 'k')));
  EXPECT_TRUE(keyed.is_closed_without_a_word());
  expect_nothing_until(farm.router, [&] { return farm.router.stats().disconnects == 1; });
  expect_serves(farm);
}

TEST(HostilePeerTest, MessagesOfSeveralPartsAreDropped) {
  ZmqContext context;
  RouterSocket open = RouterSocket::bind(context, kAnyLoopbackPort, {}).value();
  RawPeer peer(open.endpoint());
  ASSERT_TRUE(peer.handshake_without_keys({}));
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(peer.send_part("part", true));
  ASSERT_TRUE(peer.send_part("last", false));
  ASSERT_TRUE(peer.send_message("whole"));
  EXPECT_EQ(next_message(open)->bytes, "whole");
  EXPECT_EQ(open.stats().dropped_malformed, 1U);
}

TEST(HostilePeerTest, UnwantedMessagesDoNotHoldTheOwnerUp) {
  ZmqContext context;
  RouterSocket open = RouterSocket::bind(context, kAnyLoopbackPort, {}).value();
  RawPeer peer(open.endpoint());
  ASSERT_TRUE(peer.handshake_without_keys({}));
  constexpr std::uint64_t kUnwanted = 5 * kDropsPerReceiveMax;
  for (std::uint64_t i = 0; i < kUnwanted; ++i) ASSERT_TRUE(peer.send_part("a", true) && peer.send_part("b", false));
  ASSERT_TRUE(peer.send_message("wanted"));
  std::optional<Received> heard;
  std::uint64_t cut = 0;  // the first ones may be read before the others are there
  ASSERT_TRUE(happens([&] {
    const std::uint64_t before = open.stats().dropped_malformed;
    heard = open.receive();
    const std::uint64_t dropped = open.stats().dropped_malformed - before;
    EXPECT_LE(dropped, static_cast<std::uint64_t>(kDropsPerReceiveMax));
    if (dropped == static_cast<std::uint64_t>(kDropsPerReceiveMax) && !heard) ++cut;
    return heard.has_value();
  }));
  EXPECT_EQ(open.stats().receives_cut, cut);
  EXPECT_EQ(heard->bytes, "wanted");
  EXPECT_EQ(open.stats().dropped_malformed, kUnwanted);
}

// With an identity of its choice, one peer could take what is meant for another.
TEST(HostilePeerTest, APeerThatChoosesItsIdentityIsNotHeard) {
  KeyedFarm farm;
  RawPeer named(farm.router.endpoint());
  ASSERT_TRUE(named.handshake_with_keys(farm.client.public_z85, farm.client.secret_z85, farm.server.public_z85,
                                        {{"Identity", "gpu-1"}}));
  ASSERT_TRUE(named.send_message("hello"));
  expect_nothing_until(farm.router, [&] { return farm.router.stats().dropped_chosen_identity == 1; });
  expect_serves(farm);
}

TEST(HostilePeerTest, TheIdentityOfAnotherCannotBeTaken) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  ASSERT_TRUE(worker.send("hello"));
  const std::string identity = next_message(farm.router)->identity;
  RawPeer thief(farm.router.endpoint());
  ASSERT_TRUE(thief.handshake_with_keys(farm.client.public_z85, farm.client.secret_z85, farm.server.public_z85,
                                        {{"Identity", identity.substr(0, 5)}}));
  ASSERT_TRUE(thief.send_message("I am the worker now"));
  // Its connection is known to the router when the next one is.
  expect_serves(farm);
  ASSERT_TRUE(farm.router.send(identity, "secret"));
  EXPECT_EQ(next_message(worker), "secret");
}

// A page in a browser can make it send bytes of the page's choice to a port of this machine. libzmq takes the first
// line of HTTP for the identity of a peer of its oldest protocol.
TEST(HostilePeerTest, ABrowserCannotSpeakToADoorWithoutKeys) {
  ZmqContext context;
  RouterSocket open = RouterSocket::bind(context, kAnyLoopbackPort, {}).value();
  // 'P' announces 80 bytes, the identity; what follows is a frame of the oldest protocol.
  std::string request = "POST /" + std::string(75, 'x');
  request.resize(81, 'x');
  request += std::string("\x0C\x00submit job!", 13);
  RawPeer browser(open.endpoint());
  ASSERT_TRUE(browser.send(request));
  expect_nothing_until(open, [&] { return open.stats().dropped_chosen_identity == 1; });
}

TEST(HostilePeerTest, ASilentConnectionIsClosed) {
  KeyedFarm farm;
  RawPeer silent(farm.router.endpoint());
  EXPECT_TRUE(silent.is_closed());  // after kHandshakeTimeout
  expect_nothing_until(farm.router, [&] { return farm.router.stats().handshakes_failed == 1; });
}

}  // namespace
}  // namespace kiln::net
