#include "net/local_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/sealed_file.h"

using namespace std::chrono_literals;

namespace kiln::net {
namespace {

TEST(LocalChannelTest, CarriesBytesAndDescriptors) {
  auto [a, b] = LocalChannel::make_pair().value();
  const UniqueFd sealed = make_sealed("x", std::as_bytes(std::span(std::string_view("content")))).value();
  ASSERT_TRUE(a.send("hello", {sealed.get()}, 1s));
  ASSERT_TRUE(a.send("", {}, 1s));
  const auto first = b.receive().value();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->bytes, "hello");
  ASSERT_EQ(first->descriptors.size(), 1U);
  EXPECT_EQ(Mapping::map(first->descriptors[0].get())->text(), "content");
  EXPECT_EQ(b.receive().value()->bytes, "");
}

TEST(LocalChannelTest, LargeMessagesPassWhileThePeerReads) {
  auto [a, b] = LocalChannel::make_pair().value();
  const std::string large(8U << 20U, 'k');
  std::thread sender([&a = a, &large] { EXPECT_TRUE(a.send(large, {}, 10s)); });
  const auto received = b.receive().value();
  sender.join();
  EXPECT_EQ(received->bytes, large);
}

TEST(LocalChannelTest, SendGivesUpAtItsDeadlineWhenNobodyReads) {
  auto [a, b] = LocalChannel::make_pair().value();
  const auto status = a.send(std::string(8U << 20U, 'k'), {}, 50ms);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(LocalChannelTest, WhatIsReadyIsTakenPieceByPieceWithoutWaiting) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd peer(ends[0]);
  LocalChannel channel((UniqueFd(ends[1])));
  const std::string wire("\5\0\0\0\0\0\0\0hello", 13);
  for (int message = 0; message < 2; ++message) {
    for (const char& byte : wire) {
      EXPECT_FALSE(channel.receive_ready().value().message);
      ASSERT_EQ(::write(peer.get(), &byte, 1), 1);
    }
    EXPECT_EQ(channel.receive_ready().value().message.value().bytes, "hello");
  }
}

TEST(LocalChannelTest, PeerThatGoesInMidMessageHasClosed) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd peer(ends[0]);
  LocalChannel channel((UniqueFd(ends[1])));
  ASSERT_EQ(::write(peer.get(), "\5\0\0\0\0\0\0\0he", 10), 10);
  EXPECT_FALSE(channel.receive_ready().value().closed);
  peer.reset();
  EXPECT_TRUE(channel.receive_ready().value().closed);
  EXPECT_FALSE(channel.receive().value());
}

TEST(LocalChannelTest, ClosedPeerIsNoMessageAndASendError) {
  auto [a, b] = LocalChannel::make_pair().value();
  b.close();
  EXPECT_FALSE(a.receive().value().has_value());
  EXPECT_EQ(a.send("x", {}, 1s).error().code, ErrorCode::kUnavailable);
}

TEST(LocalChannelTest, TooLargeIsRefusedBeforeAnythingIsSent) {
  auto [a, b] = LocalChannel::make_pair().value();
  EXPECT_FALSE(a.send("x", std::vector<int>(kLocalDescriptorsMax + 1, 0), 1s));
  ASSERT_TRUE(a.send("still works", {}, 1s));
  EXPECT_EQ(b.receive().value()->bytes, "still works");
}

}  // namespace
}  // namespace kiln::net
