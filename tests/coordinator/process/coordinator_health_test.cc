// What monitoring is told of a coordinator.
#include <fmt/core.h>
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "base/wall_clock.h"
#include "coordinator/store_watch.h"
#include "net/http_server.h"
#include "tests/base/temp_folder.h"
#include "tests/coordinator/process/coordinator_process.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::HasSubstr;

template <typename Condition>
bool becomes(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(CoordinatorHealthTest, IsReadyWithItsStoreAndNotWithoutIt) {
  const kiln::test::TempFolder folder;
  {
    const CoordinatorProcess farm(folder / "own");
    ASSERT_TRUE(farm.up()) << farm.said();
    EXPECT_TRUE(becomes([&] { return farm.http("/readyz") == "{\"ready\":true}\n"; })) << farm.http("/readyz");
    EXPECT_TRUE(becomes([&] { return farm.http("/metrics").find("kiln_farm_store_up 1\n") != std::string::npos; }));
  }
  const CoordinatorProcess farm(folder / "far", "", {"--store", "http://127.0.0.1:1"});
  ASSERT_TRUE(farm.up()) << farm.said();
  EXPECT_TRUE(becomes([&] { return farm.http("/readyz").find("the store: ") != std::string::npos; })) << farm.http("/readyz");
  EXPECT_EQ(farm.http("/healthz"), "{\"healthy\":true}\n") << "it is well itself";
  EXPECT_THAT(farm.http("/metrics"), HasSubstr("kiln_farm_store_up 0\n"));
}

TEST(CoordinatorHealthTest, AStoreThatComesBackIsSeen) {
  std::atomic<bool> good = true;
  net::HttpServerOptions options;
  options.listen = *net::parse_host_port("127.0.0.1:0");
  const auto server = net::HttpServer::start(options, [&](const net::HttpRequest&) -> net::HttpDecision {
    if (good) return net::json_response(200, "{}");
    return net::problem(503, ErrorCode::kUnavailable, "the disk is away");
  });
  ASSERT_TRUE(server) << server.error().message;
  {
    const StoreWatch watch((*server)->bound(), std::chrono::milliseconds(5));
    EXPECT_TRUE(becomes([&] { return watch.status().has_value(); }));
    good = false;
    EXPECT_TRUE(becomes([&] { return !watch.status(); }));
    EXPECT_THAT(watch.status().error().message, HasSubstr("the disk is away"));
    good = true;
    EXPECT_TRUE(becomes([&] { return watch.status().has_value(); }));
    EXPECT_GE(watch.stats().failures, 1U);
  }
  (*server)->stop(std::chrono::milliseconds(1'000));
}

TEST(CoordinatorHealthTest, AStoreWithAnotherClockIsSeen) {
  std::atomic<std::int64_t> ahead_s = 0;
  net::HttpServerOptions options;
  options.listen = *net::parse_host_port("127.0.0.1:0");
  const auto server = net::HttpServer::start(options, [&](const net::HttpRequest&) -> net::HttpDecision {
    return net::json_response(200, fmt::format("{{\"ready\":true,\"unix_s\":{}}}", unix_seconds() + ahead_s));
  });
  ASSERT_TRUE(server) << server.error().message;
  {
    const StoreWatch watch((*server)->bound(), std::chrono::milliseconds(5));
    EXPECT_TRUE(becomes([&] { return watch.status().has_value(); }));
    ahead_s = 7'200;
    EXPECT_TRUE(becomes([&] { return !watch.status(); }));
    EXPECT_THAT(watch.status().error().message, HasSubstr("ahead of the coordinator's: what is signed here expires too early"));
    EXPECT_TRUE(watch.stats().up);
    ahead_s = -7'200;
    EXPECT_TRUE(becomes([&] { return !watch.status() && watch.status().error().message.find("behind") != std::string::npos; }));
    ahead_s = 60;
    EXPECT_TRUE(becomes([&] { return watch.status().has_value(); }));
  }
  (*server)->stop(std::chrono::milliseconds(1'000));
}

}  // namespace
}  // namespace kiln::coordinator::test
