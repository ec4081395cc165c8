// A real server on a real port, and clients that behave badly.
#include "net/http_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/sealed_file.h"
#include "net/http_client.h"
#include "tests/net/raw_client.h"

namespace kiln::net {
namespace {

using test::eventually;
using test::kPatience;
using test::RawClient;

constexpr std::uint64_t kMib = 1U << 20U;

std::string text_of_size(std::uint64_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

class CountingSink final : public BodySink {
 public:
  explicit CountingSink(std::atomic<int>& destroyed) : destroyed_(destroyed) {}
  ~CountingSink() override { ++destroyed_; }
  Status append(std::span<const std::byte> bytes) override {
    total_ += bytes.size();
    return {};
  }
  HttpResponse finish() override { return json_response(201, std::to_string(total_)); }

 private:
  std::uint64_t total_ = 0;
  std::atomic<int>& destroyed_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpServerOptions options = {}) {
    options.listen = {"127.0.0.1", 0};
    auto started = HttpServer::start(std::move(options), [this](const HttpRequest& request) { return handle(request); });
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);
  }
  HttpDecision handle(const HttpRequest& request) {
    ++handled;
    if (request.path == "/hello") return json_response(200, "\"hello\"");
    if (request.path == "/echo") return accept_text(kMib, [](std::string body) { return json_response(200, body); });
    if (request.path == "/count") return AcceptBody{std::make_unique<CountingSink>(sinks_destroyed), 1ULL << 40U};
    if (request.path == "/refuse") return problem(409, ErrorCode::kAborted, "not now");
    if (request.path == "/throw") throw std::runtime_error("bad secret");
    if (request.path == "/file") {
      auto fd = make_sealed("file", std::as_bytes(std::span(file)));
      return file_response(request, std::move(*fd), file.size(), "\"tag\"");
    }
    if (request.path == "/block") {
      std::unique_lock lock(mutex);
      ++blocked;
      changed.notify_all();
      changed.wait(lock, [this] { return released; });
      return json_response(200, "1");
    }
    return problem(404, ErrorCode::kNotFound, "nothing at " + request.path);
  }
  void release() {
    const std::lock_guard lock(mutex);
    released = true;
    changed.notify_all();
  }
  HttpClient client() { return HttpClient({server->bound()}); }

  std::string file = text_of_size(3 * kMib + 17);
  std::atomic<int> handled{0};
  std::atomic<int> sinks_destroyed{0};
  std::mutex mutex;
  std::condition_variable changed;
  int blocked = 0;
  bool released = false;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, AnswersMoreThanOneRequestOnAConnection) {
  start();
  RawClient raw(server->bound());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(raw.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(raw.read_until("\n"), "\"hello\"\n");
  }
  EXPECT_EQ(server->stats().connections, 1U);
  EXPECT_EQ(server->stats().requests, 3U);
}

TEST_F(HttpServerTest, AnswersRequestsThatWereSentTogetherInOrder) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /hello HTTP/1.1\r\n\r\n"
                       "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n"));
  const std::string all = raw.read_to_close();
  const auto first = all.find("abc"), second = all.find("\"hello\""), third = all.rfind("\"hello\"");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  start();
  auto http = client();
  const auto head = http.head("/file");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->content_bytes, file.size());
  EXPECT_EQ(head->header("etag"), "\"tag\"");
  EXPECT_EQ(http.get("/hello", 100)->body, "\"hello\"\n") << "the connection is still in step";
}

TEST_F(HttpServerTest, FilesAndTheirRangesArriveWhole) {
  start();
  auto http = client();
  EXPECT_EQ(http.get("/file", file.size())->body, file);
  const auto part = http.get("/file", file.size(), {{"Range", "bytes=1048570-2097159"}});
  ASSERT_TRUE(part);
  EXPECT_EQ(part->status, 206);
  EXPECT_EQ(part->body, file.substr(1048570, 1048590));
  EXPECT_EQ(part->header("content-range"), fmt::format("bytes 1048570-2097159/{}", file.size()));
  const auto changed_meanwhile = http.get("/file", file.size(), {{"Range", "bytes=5-6"}, {"If-Range", "\"old\""}});
  EXPECT_EQ(changed_meanwhile->status, 200);
  const auto unchanged = http.get("/file", 0, {{"If-None-Match", "\"tag\""}});
  ASSERT_TRUE(unchanged);
  EXPECT_EQ(unchanged->status, 304);
  const auto outside = http.get("/file", 100, {{"Range", "bytes=99999999-"}});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, ErrorCode::kOutOfRange);
}

TEST_F(HttpServerTest, ABodyThatNobodyWantsIsNeverSent) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /refuse HTTP/1.1\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"));
  const std::string head = raw.read_head();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 409 ")) << head;
  EXPECT_NE(head.find("Connection: close"), std::string::npos);
  EXPECT_EQ(server->stats().bytes_in, 0U);
}

TEST_F(HttpServerTest, ContinuesWhereTheBodyIsWanted) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(raw.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(raw.send("12345"));
  EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 200 OK"));
  EXPECT_EQ(raw.read_until("\n"), "12345\n");
}

TEST_F(HttpServerTest, AnswerReachesAClientThatSendsAnyway) {
  start();
  auto http = client();
  const std::string body = text_of_size(8 * kMib);
  const auto refused = http.send("PUT", "/refuse", body);  // without asking first
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().code == ErrorCode::kAborted || refused.error().code == ErrorCode::kUnavailable)
      << refused.error().message;
  const auto small = http.send("PUT", "/refuse", "small");
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, ErrorCode::kAborted);
  EXPECT_EQ(http.get("/hello", 100)->body, "\"hello\"\n");
}

TEST_F(HttpServerTest, AClientThatGoesOnSendingAfterItsLastAnswerIsCutAndCounted) {
  HttpServerOptions options;
  options.linger_deadline = kPatience;
  start(options);
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /refuse HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"));
  EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 409 "));
  EXPECT_EQ(server->stats().bodies_unread, 1U);
  const std::string piece = text_of_size(kMib);
  while (raw.send(piece)) {
  }
  EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
  EXPECT_EQ(server->stats().lingers_cut, 1U);
  EXPECT_EQ(server->stats().deadlines, 0U);
}

TEST_F(HttpServerTest, BodiesBeyondTheLimitOfTheirRouteAreRefusedUnread) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /echo HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n"));
  EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 413 "));
  EXPECT_EQ(server->stats().bodies_too_large, 1U);
}

TEST_F(HttpServerTest, HeadsBeyondTheLimitAreRefusedAndCounted) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("GET /hello HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"));
  EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 431 "));
  EXPECT_EQ(server->stats().headers_too_large, 1U);
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpServerTest, GarbageIsRefusedAndHarmsNobody) {
  start();
  const std::string garbage[] = {std::string("\0\1\2\3\r\n\r\n", 8), "GET\r\n\r\n", "\x16\x03\x01\x02garbage\r\n\r\n",
                                 "GET /hello HTTP/9.9\r\n\r\n", "GET /hello HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                                 "GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                 "GET http://other/ HTTP/1.1\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n"};
  for (const std::string& bytes : garbage) {
    RawClient raw(server->bound());
    ASSERT_TRUE(raw.send(bytes));
    const std::string answer = raw.read_to_close();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << bytes << " -> " << answer;
  }
  EXPECT_EQ(server->stats().malformed, std::size(garbage));
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(client().get("/hello", 100)->status, 200);
}

TEST_F(HttpServerTest, BodiesWithoutALengthAreRefused) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
  EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 411 "));
}

TEST_F(HttpServerTest, ASinkOfABodyThatIsCutIsNeverFinished) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("PUT /count HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + text_of_size(70'000)));
  ASSERT_TRUE(eventually([&] { return server->stats().bytes_in == 70'000; }));
  raw.close_sending();
  EXPECT_EQ(raw.read_to_close(), "");
  EXPECT_TRUE(eventually([&] { return sinks_destroyed == 1; }));
  EXPECT_EQ(server->stats().bodies_cut, 1U);
}

TEST_F(HttpServerTest, AHalfClosedClientStillGetsItsAnswer) {
  start();
  RawClient raw(server->bound());
  ASSERT_TRUE(raw.send("GET /hello HTTP/1.1\r\n\r\n"));
  raw.close_sending();
  EXPECT_TRUE(raw.read_head().starts_with("HTTP/1.1 200 OK"));
}

TEST_F(HttpServerTest, SlowClientsAreCutAndCounted) {
  HttpServerOptions options;
  options.header_deadline = std::chrono::milliseconds(60);
  options.mib_deadline = std::chrono::milliseconds(60);
  options.idle_deadline = std::chrono::milliseconds(60);
  start(options);
  RawClient slow_head(server->bound());
  ASSERT_TRUE(slow_head.send("GET /hello HT"));
  EXPECT_EQ(slow_head.read_to_close(), "");
  RawClient slow_body(server->bound());
  ASSERT_TRUE(slow_body.send("PUT /count HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc"));
  EXPECT_EQ(slow_body.read_to_close(), "");
  RawClient idle(server->bound());
  EXPECT_EQ(idle.read_to_close(), "");
  EXPECT_EQ(server->stats().deadlines, 3U);
  EXPECT_EQ(handled, 1);
}

TEST_F(HttpServerTest, AClientThatDoesNotReadHoldsUpNobody) {
  file = text_of_size(64 * kMib);
  HttpServerOptions options;
  options.threads = 1;
  options.mib_deadline = kPatience;
  start(options);
  std::vector<std::unique_ptr<RawClient>> lazy;
  for (int i = 0; i < 4; ++i) {
    lazy.push_back(std::make_unique<RawClient>(server->bound()));
    ASSERT_TRUE(lazy.back()->send("GET /file HTTP/1.1\r\n\r\n"));
  }
  ASSERT_TRUE(eventually([&] { return handled == 4; }));
  EXPECT_EQ(client().get("/hello", 100)->status, 200);
}

TEST_F(HttpServerTest, ConnectionsBeyondTheLimitGetAnAnswerAndAreCounted) {
  HttpServerOptions options;
  options.connections_max = 2;
  start(options);
  RawClient first(server->bound()), second(server->bound());
  ASSERT_TRUE(eventually([&] { return server->stats().connections_open == 2; }));
  RawClient third(server->bound());
  EXPECT_TRUE(third.read_head().starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(server->stats().connections_refused, 1U);
  first.close();
  ASSERT_TRUE(eventually([&] { return server->stats().connections_open == 1; }));
  EXPECT_EQ(client().get("/hello", 100)->status, 200);
}

TEST_F(HttpServerTest, WhatAHandlerThrowsIsA500) {
  start();
  auto http = client();
  const auto thrown = http.get("/throw", 100);
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().code, ErrorCode::kInternal);
  EXPECT_EQ(thrown.error().message.find("bad secret"), std::string::npos) << "not for strangers";
  EXPECT_EQ(http.get("/hello", 100)->status, 200);
}

TEST_F(HttpServerTest, ManyThreadsAndConnectionsGetTheirOwnBytes) {
  start();
  auto http = client();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const std::string mine = fmt::format("{}-{}-{}", t, i, text_of_size(static_cast<std::uint64_t>(i * 997)));
        const auto back = http.send("PUT", "/echo", mine);
        const std::uint64_t offset = static_cast<std::uint64_t>(t * 1000 + i);
        const auto part = http.get("/file", file.size(), {{"Range", fmt::format("bytes={}-{}", offset, offset + 99)}});
        if (back && part && part->body == file.substr(offset, 100)) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 12 * 40);
}

TEST_F(HttpServerTest, StopEndsIdleConnectionsAndLetsRequestsEnd) {
  start();
  RawClient idle(server->bound()), busy(server->bound());
  ASSERT_TRUE(busy.send("GET /block HTTP/1.1\r\n\r\n"));
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kPatience, [this] { return blocked == 1; }));
  }
  std::thread stopper([this] { server->stop(kPatience); });
  EXPECT_EQ(idle.read_to_close(), "");
  release();
  EXPECT_TRUE(busy.read_to_close().starts_with("HTTP/1.1 200 OK"));
  stopper.join();
  EXPECT_FALSE(connect_tcp(server->bound(), deadline_in(kPatience)));
}

TEST_F(HttpServerTest, StopCutsWhatDoesNotEndInTime) {
  start();
  RawClient stuck(server->bound());
  ASSERT_TRUE(stuck.send("PUT /count HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc"));
  ASSERT_TRUE(eventually([&] { return server->stats().bytes_in == 3; }));
  server->stop(std::chrono::milliseconds(20));
  EXPECT_EQ(stuck.read_to_close(), "");
  EXPECT_EQ(sinks_destroyed, 1);
}

TEST_F(HttpServerTest, APortInUseIsOneClearLine) {
  start();
  HttpServerOptions options;
  options.listen = server->bound();
  const auto second = HttpServer::start(options, [](const HttpRequest&) { return HttpDecision(HttpResponse{}); });
  ASSERT_FALSE(second);
  EXPECT_EQ(exit_code(second.error()), 75);
  EXPECT_NE(second.error().message.find(server->bound().text()), std::string::npos);
}

TEST(TcpSocketTest, AddressesByTable) {
  EXPECT_EQ(*parse_host_port("127.0.0.1:80"), (HostPort{"127.0.0.1", 80}));
  EXPECT_EQ(*parse_host_port("[::1]:0"), (HostPort{"::1", 0}));
  EXPECT_EQ(*parse_host_port("name:65535"), (HostPort{"name", 65535}));
  EXPECT_EQ((HostPort{"::1", 7}).text(), "[::1]:7");
  for (const char* bad : {"", "80", ":80", "host:", "host:-1", "host:65536", "host:8x", "::1:80", "[::1]80"}) {
    EXPECT_FALSE(parse_host_port(bad)) << bad;
  }
  EXPECT_TRUE(*is_loopback("127.0.0.1"));
  EXPECT_TRUE(*is_loopback("127.9.9.9"));
  EXPECT_TRUE(*is_loopback("::1"));
  EXPECT_FALSE(*is_loopback("0.0.0.0"));
  EXPECT_FALSE(*is_loopback("10.1.2.3"));
}

}  // namespace
}  // namespace kiln::net
