#include "net/zmq_endpoint.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "tests/base/temp_folder.h"

namespace kiln::net {
namespace {

TEST(ZmqEndpointTest, KnowsWhatStaysOnThisMachine) {
  for (const char* text : {"tcp://127.0.0.1:0", "tcp://127.9.8.7:80", "tcp://localhost:7700", "tcp://[::1]:7700",
                           "ipc:///run/kiln/socket", "ipc://socket", "ipc://@name", "tcp://127.0.0.1:*"}) {
    const auto endpoint = parse_endpoint(text, EndpointUse::kBind);
    ASSERT_TRUE(endpoint) << endpoint.error().message;
    EXPECT_TRUE(stays_on_this_machine(*endpoint)) << text;
  }
  for (const char* text : {"tcp://*:0", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://10.0.0.1:1", "tcp://128.0.0.1:1",
                           "tcp://eth0:1", "tcp://lo:1", "tcp://farm.example:1", "tcp://[::ffff:127.0.0.1]:1",
                           "tcp://127.1:5", "tcp://0x7f.0.0.1:5"}) {
    const auto endpoint = parse_endpoint(text, EndpointUse::kBind);
    ASSERT_TRUE(endpoint) << endpoint.error().message;
    EXPECT_FALSE(stays_on_this_machine(*endpoint)) << text;
  }
}

TEST(ZmqEndpointTest, SpellsWhatLibzmqGets) {
  EXPECT_EQ(parse_endpoint("tcp://localhost:7700", EndpointUse::kConnect)->text, "tcp://127.0.0.1:7700");
  EXPECT_EQ(parse_endpoint("tcp://[::1]:7700", EndpointUse::kConnect)->text, "tcp://[::1]:7700");
  EXPECT_TRUE(parse_endpoint("tcp://[::1]:7700", EndpointUse::kConnect)->is_ipv6);
  EXPECT_EQ(parse_endpoint("ipc://a/b", EndpointUse::kConnect)->path, "a/b");
}

TEST(ZmqEndpointTest, RefusesOtherTextAndNamesIt) {
  for (const char* text : {"", "7700", "127.0.0.1:7700", "tcp://", "tcp://:7700", "tcp://host", "tcp://host:",
                           "tcp://host:http", "tcp://host:65536", "tcp://host:-1", "tcp://::1:7700", "tcp://[::1:7700",
                           "tcp://[host]:7700", "tcp://a;b:1", "tcp://a b:1", "tcp://a/b:1", "inproc://x", "udp://a:1",
                           "ipc://", "ipc://*", "pgm://a;b:1"}) {
    const auto endpoint = parse_endpoint(text, EndpointUse::kBind);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(exit_code(endpoint.error()), 2);
    EXPECT_NE(endpoint.error().message.find(fmt::format("'{}'", text)), std::string::npos);
  }
  for (const char* text : {"tcp://*:7700", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0"}) {
    EXPECT_TRUE(parse_endpoint(text, EndpointUse::kBind)) << text;
    EXPECT_FALSE(parse_endpoint(text, EndpointUse::kConnect)) << text;
  }
  EXPECT_FALSE(parse_endpoint("ipc://" + std::string(108, 'x'), EndpointUse::kBind));
  EXPECT_TRUE(parse_endpoint("ipc://" + std::string(107, 'x'), EndpointUse::kBind));
}

TEST(ZmqEndpointTest, AFileInTheWayOfASocketIsKept) {
  const kiln::test::TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "notes", "of the user"));
  const auto status = check_ipc_path_is_free(*parse_endpoint("ipc://" + folder / "notes", EndpointUse::kBind));
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 73);
  EXPECT_TRUE(check_ipc_path_is_free(*parse_endpoint("ipc://" + folder / "none", EndpointUse::kBind)));
}

}  // namespace
}  // namespace kiln::net
