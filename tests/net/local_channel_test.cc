#include "net/local_channel.h"

#include <gtest/gtest.h>

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
