#include "net/router_socket.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/file_system.h"
#include "tests/base/temp_folder.h"
#include "tests/net/farm_sockets.h"

namespace kiln::net {
namespace {

using kiln::test::TempFolder;
using test::happens;
using test::kAnyLoopbackPort;
using test::KeyedFarm;
using test::kSoon;
using test::next_message;

TEST(RouterSocketTest, WithoutKeysItServesThisMachine) {
  const TempFolder folder;
  ZmqContext context;
  for (const std::string& endpoint : {std::string(kAnyLoopbackPort), "ipc://" + folder / "door"}) {
    RouterSocket router = RouterSocket::bind(context, endpoint, {}).value();
    DealerSocket dealer = DealerSocket::connect(context, router.endpoint(), {}).value();
    ASSERT_TRUE(dealer.wait_connected(kSoon)) << endpoint;
    ASSERT_TRUE(dealer.send("hello"));
    const auto message = next_message(router);
    ASSERT_TRUE(message) << endpoint;
    EXPECT_EQ(message->bytes, "hello");
    EXPECT_TRUE(message->peer.is_local);
    EXPECT_TRUE(message->peer.may_act_as(PeerRole::kAdmin));
    ASSERT_TRUE(router.send(message->identity, ""));  // an empty message is one
    EXPECT_EQ(next_message(dealer), "");
    EXPECT_EQ(router.stats().received_messages, 1U);
    EXPECT_EQ(router.stats().received_bytes, 5U);
    EXPECT_EQ(router.stats().sent_messages, 1U);
  }
}

TEST(RouterSocketTest, IpcIsForItsOwnerAlone) {
  const TempFolder folder;
  ZmqContext context;
  const RouterSocket router = RouterSocket::bind(context, "ipc://" + folder / "door", {}).value();
  struct stat info {};
  ASSERT_EQ(::stat((folder / "door").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(RouterSocketTest, WithoutKeysNoOtherMachineIsServed) {
  ZmqContext context;
  for (const char* endpoint : {"tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0", "tcp://10.1.2.3:0"}) {
    const auto router = RouterSocket::bind(context, endpoint, {});
    ASSERT_FALSE(router) << endpoint;
    EXPECT_EQ(exit_code(router.error()), 78);
    EXPECT_NE(router.error().message.find("kiln keygen"), std::string::npos) << router.error().message;
  }
}

TEST(RouterSocketTest, WithKeysAllAddressesCanBeServed) {
  KeyedFarm farm;
  RouterSocket router = RouterSocket::bind(farm.context, "tcp://*:*", {farm.server, {}}).value();
  const std::string port = router.endpoint().substr(router.endpoint().rfind(':') + 1);
  EXPECT_GT(std::stoi(port), 0) << router.endpoint();
  DealerSocket worker = DealerSocket::connect(farm.context, "tcp://127.0.0.1:" + port, farm.security_of(farm.worker)).value();
  ASSERT_TRUE(worker.wait_connected(kSoon));
  ASSERT_TRUE(worker.send("hello"));
  EXPECT_EQ(next_message(router)->peer.name, "gpu-1");
}

TEST(RouterSocketTest, AKeyedIpcDoorAsksForKeysToo) {
  const TempFolder folder;
  KeyedFarm farm;
  RouterSocket router = RouterSocket::bind(farm.context, "ipc://" + folder / "door", {farm.server, {}}).value();
  DealerSocket stranger = DealerSocket::connect(farm.context, router.endpoint(), farm.security_of(farm.stranger)).value();
  EXPECT_EQ(stranger.wait_connected(kSoon).error().code, ErrorCode::kUnauthenticated);
  DealerSocket worker = DealerSocket::connect(farm.context, router.endpoint(), farm.security_of(farm.worker)).value();
  ASSERT_TRUE(worker.wait_connected(kSoon));
  ASSERT_TRUE(worker.send("hello"));
  EXPECT_EQ(next_message(router)->peer.name, "gpu-1");
}

TEST(RouterSocketTest, APortInUseIsSaid) {
  ZmqContext context;
  const RouterSocket first = RouterSocket::bind(context, kAnyLoopbackPort, {}).value();
  const auto second = RouterSocket::bind(context, first.endpoint(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(exit_code(second.error()), 75);
  const std::string port = first.endpoint().substr(first.endpoint().rfind(':') + 1);
  EXPECT_NE(second.error().message.find("port " + port), std::string::npos) << second.error().message;
  EXPECT_NE(second.error().message.find("ss -ltnp"), std::string::npos);
}

TEST(RouterSocketTest, APathInUseIsSaidAndALeftOverSocketIsReplaced) {
  const TempFolder folder;
  ZmqContext context;
  const std::string endpoint = "ipc://" + folder / "door";
  {
    const RouterSocket first = RouterSocket::bind(context, endpoint, {}).value();
    const auto second = RouterSocket::bind(context, endpoint, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(exit_code(second.error()), 75);
    EXPECT_EQ(::rename((folder / "door").c_str(), (folder / "left").c_str()), 0);
  }
  // Of a program that is gone: the file is there, and nobody listens.
  ASSERT_TRUE(happens([&] { return RouterSocket::bind(context, "ipc://" + folder / "left", {}).has_value(); }));
  ASSERT_TRUE(write_file_atomic(folder / "notes", "of the user"));
  EXPECT_FALSE(RouterSocket::bind(context, "ipc://" + folder / "notes", {}));
  EXPECT_EQ(*read_file(folder / "notes", 100), "of the user");
}

TEST(RouterSocketTest, AnAddressOfAnotherMachineIsSaid) {
  KeyedFarm farm;
  const auto router = RouterSocket::bind(farm.context, "tcp://192.0.2.1:7700", {farm.server, {}});
  ASSERT_FALSE(router);
  EXPECT_NE(router.error().message.find("no such address"), std::string::npos) << router.error().message;
}

TEST(RouterSocketTest, APeerThatIsGoneIsUnavailableAndItsIdentityDoesNotComeBack) {
  KeyedFarm farm;
  std::string first;
  {
    DealerSocket worker = farm.connected(farm.worker);
    ASSERT_TRUE(worker.send("hello"));
    first = next_message(farm.router)->identity;
    ASSERT_TRUE(farm.router.send(first, "x"));
  }
  ASSERT_TRUE(happens([&] {
    const Status sent = farm.router.send(first, "x");
    return !sent && sent.error().code == ErrorCode::kUnavailable;
  }));
  DealerSocket worker = farm.connected(farm.worker);
  ASSERT_TRUE(worker.send("again"));
  const auto again = next_message(farm.router);
  EXPECT_NE(again->identity, first);
  EXPECT_FALSE(farm.router.send(first, "x"));
  EXPECT_TRUE(farm.router.send(again->identity, "x"));
  EXPECT_GE(farm.router.stats().refused_peer_gone, 2U);
  for (const char* nonsense : {"", "abc", "nobody at all"}) {
    EXPECT_EQ(farm.router.send(nonsense, "x").error().code, ErrorCode::kUnavailable) << nonsense;
  }
  EXPECT_GE(farm.router.stats().disconnects, 1U);
}

TEST(RouterSocketTest, APeerThatDoesNotReadFillsItsOwnQueueOnly) {
  KeyedFarm farm;
  DealerSocket lazy = farm.connected(farm.worker);
  DealerSocket other = farm.connected(farm.client);
  ASSERT_TRUE(lazy.send("hello"));
  const std::string lazy_identity = next_message(farm.router)->identity;
  ASSERT_TRUE(other.send("hello"));
  const std::string other_identity = next_message(farm.router)->identity;
  const std::string bytes(16U << 10U, 'k');
  int sent = 0;
  Status status;
  while ((status = farm.router.send(lazy_identity, bytes))) ++sent;
  EXPECT_GE(sent, kRouterQueueMax);
  EXPECT_EQ(status.error().code, ErrorCode::kResourceExhausted);
  EXPECT_GE(farm.router.stats().refused_queue_full, 1U);
  ASSERT_TRUE(farm.router.send(other_identity, "you are not meant"));
  EXPECT_EQ(next_message(other), "you are not meant");
  // It reads at last, gets what was taken, and can be sent to again.
  int received = 0;
  ASSERT_TRUE(happens([&] {
    while (lazy.receive()) ++received;
    return received >= sent;
  })) << received << " of " << sent;
  ASSERT_TRUE(happens([&] { return farm.router.send(lazy_identity, "again").has_value(); }));
  EXPECT_EQ(next_message(lazy), "again");
}

TEST(RouterSocketTest, TheLargestMessagePassesAndALargerOneIsNotSent) {
  KeyedFarm farm;
  DealerSocket worker = farm.connected(farm.worker);
  const std::string largest(kSocketMessageBytesMax, 'k');
  ASSERT_TRUE(worker.send(largest));
  const auto message = next_message(farm.router);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->bytes, largest);
  ASSERT_TRUE(farm.router.send(message->identity, largest));
  EXPECT_EQ(next_message(worker), largest);
  EXPECT_EQ(worker.send(largest + "k").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(farm.router.send(message->identity, largest + "k").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(farm.router.stats().refused_too_large, 1U);
  EXPECT_EQ(worker.stats().refused_too_large, 1U);
  EXPECT_EQ(worker.connection().made, 1U);
}

// The loop of the class comment: fd() tells of a change once, and sending may take that news.
TEST(RouterSocketTest, ThePollLoopMissesNothing) {
  KeyedFarm farm;
  constexpr int kExchanges = 2000;
  std::thread asking([&] {
    DealerSocket worker = farm.connected(farm.worker);
    for (int i = 0; i < kExchanges; ++i) {
      ASSERT_TRUE(worker.send(std::to_string(i)));
      while (!worker.pending()) ASSERT_TRUE(worker.wait(kSoon));
      ASSERT_EQ(worker.receive(), std::to_string(i));
    }
  });
  int answered = 0;
  while (answered < kExchanges) {
    while (farm.router.pending()) {
      const auto message = farm.router.receive();
      if (message && farm.router.send(message->identity, message->bytes)) ++answered;
    }
    if (answered == kExchanges) break;
    pollfd changed{farm.router.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&changed, 1, static_cast<int>(kSoon.count())), 1) << answered << " were answered";
  }
  asking.join();
}

}  // namespace
}  // namespace kiln::net
