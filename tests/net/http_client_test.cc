// The client against the real server, and against one that breaks connections and speaks nonsense.
#include "net/http_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <latch>
#include <thread>

#include "base/sealed_file.h"
#include "net/http_server.h"
#include "tests/base/temp_folder.h"
#include "tests/net/raw_client.h"

namespace kiln::net {
namespace {

using kiln::test::TempFolder;
using test::kPatience;

constexpr std::uint64_t kMib = 1U << 20U;

// Hands each connection, in order, to a function; then closes it.
class ScriptedServer {
 public:
  using Turn = std::function<void(int socket, const std::string& request)>;
  explicit ScriptedServer(std::vector<Turn> turns) : listener_(*listen_tcp({"127.0.0.1", 0})) {
    thread_ = std::thread([this, turns = std::move(turns)] {
      for (const Turn& turn : turns) {
        pollfd poll_fd{listener_.socket.get(), POLLIN, 0};
        if (::poll(&poll_fd, 1, static_cast<int>(kPatience.count())) <= 0) return;
        const UniqueFd socket(::accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string request;
        char c = 0;
        while (!request.ends_with("\r\n\r\n") && ::recv(socket.get(), &c, 1, 0) == 1) request.push_back(c);
        requests.push_back(request);
        turn(socket.get(), request);
      }
    });
  }
  ~ScriptedServer() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] const HostPort& bound() const { return listener_.bound; }
  std::vector<std::string> requests;  // after join()

 private:
  Listener listener_;
  std::thread thread_;
};

ScriptedServer::Turn says(std::string text) {
  return [text = std::move(text)](int socket, const std::string&) { ::send(socket, text.data(), text.size(), MSG_NOSIGNAL); };
}

HttpClientOptions quick(const HostPort& server) {
  HttpClientOptions options;
  options.server = server;
  options.resume_wait = std::chrono::milliseconds(1);
  options.resumes_max = 3;
  return options;
}

std::string contents(const UniqueFd& fd) {
  ::lseek(fd.get(), 0, SEEK_SET);
  return *read_to_end(fd.get(), 64 * kMib);
}

UniqueFd scratch(const TempFolder& folder) {
  return UniqueFd(::open((folder / "scratch").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

TEST(HttpClientTest, ConnectionsBeyondThoseThatMayWaitAreClosedAndCounted) {
  constexpr std::size_t kAtOnce = kHttpIdleConnectionsMax + 2;
  std::latch all_are_there(kAtOnce);
  HttpServerOptions options;
  options.listen = {"127.0.0.1", 0};
  options.threads = static_cast<int>(kAtOnce);
  const auto server = std::move(*HttpServer::start(options, [&](const HttpRequest&) -> HttpDecision {
    all_are_there.arrive_and_wait();
    return json_response(200, "{}");
  }));
  HttpClient client(quick(server->bound()));
  std::vector<std::thread> askers;
  for (std::size_t i = 0; i < kAtOnce; ++i) askers.emplace_back([&] { EXPECT_TRUE(client.get("/", 100)); });
  for (std::thread& asker : askers) asker.join();
  EXPECT_EQ(client.not_kept(), kAtOnce - kHttpIdleConnectionsMax);
}

TEST(HttpClientTest, ABrokenDownloadGoesOnWhereItBroke) {
  const std::string body = std::string(1000, 'a') + std::string(1000, 'b') + std::string(1000, 'c');
  ScriptedServer server(
      {says("HTTP/1.1 200 OK\r\nETag: \"t\"\r\nContent-Length: 3000\r\n\r\n" + body.substr(0, 1200)),
       says("HTTP/1.1 206 P\r\nETag: \"t\"\r\nContent-Range: bytes 1200-2999/3000\r\nContent-Length: 1800\r\n\r\n" +
            body.substr(1200, 700)),
       says("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
       says("HTTP/1.1 206 P\r\nETag: \"t\"\r\nContent-Range: bytes 1900-2999/3000\r\nContent-Length: 1100\r\n\r\n" +
            body.substr(1900))});
  HttpClient client(quick(server.bound()));
  const TempFolder folder;
  const UniqueFd fd = scratch(folder);
  const auto answer = client.get_to_fd("/x?grant", fd.get(), 4000);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(contents(fd), body);
  EXPECT_EQ(client.resumes(), 3U);
  server.join();
  EXPECT_NE(server.requests[1].find("Range: bytes=1200-\r\n"), std::string::npos);
  EXPECT_NE(server.requests[1].find("If-Range: \"t\"\r\n"), std::string::npos);
  EXPECT_NE(server.requests[3].find("Range: bytes=1900-\r\n"), std::string::npos);
}

TEST(HttpClientTest, ABrokenRangeGoesOnWithinItsEnd) {
  ScriptedServer server(
      {says("HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/3000\r\nContent-Length: 100\r\n\r\n" + std::string(30, 'x')),
       says("HTTP/1.1 206 P\r\nContent-Range: bytes 130-199/3000\r\nContent-Length: 70\r\n\r\n" + std::string(70, 'y'))});
  HttpClient client(quick(server.bound()));
  const TempFolder folder;
  const UniqueFd fd = scratch(folder);
  ASSERT_TRUE(client.get_to_fd("/x", fd.get(), 4000, ByteRange{100, 100}));
  EXPECT_EQ(contents(fd), std::string(30, 'x') + std::string(70, 'y'));
  server.join();
  EXPECT_NE(server.requests[1].find("Range: bytes=130-199\r\n"), std::string::npos);
}

TEST(HttpClientTest, AFileThatChangedMeanwhileIsNotPutTogether) {
  ScriptedServer server({says("HTTP/1.1 200 OK\r\nETag: \"t\"\r\nContent-Length: 3000\r\n\r\nabc"),
                         says("HTTP/1.1 200 OK\r\nETag: \"u\"\r\nContent-Length: 3000\r\n\r\nxyz")});
  HttpClient client(quick(server.bound()));
  const TempFolder folder;
  const UniqueFd fd = scratch(folder);
  const auto answer = client.get_to_fd("/x", fd.get(), 4000);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kAborted);
}

TEST(HttpClientTest, TriesEndWithoutProgress) {
  const auto cut = says("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\nabc");
  const auto busy = says("");
  ScriptedServer server({cut, busy, busy, busy});
  HttpClient client(quick(server.bound()));
  const TempFolder folder;
  const UniqueFd fd = scratch(folder);
  const auto answer = client.get_to_fd("/x", fd.get(), 4000);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(client.resumes(), 3U);
}

TEST(HttpClientTest, WhatIsNoHttpIsAnErrorAndNothingElse) {
  struct Row {
    std::string answer;
    ErrorCode code;
  };
  const Row rows[] = {{"garbage\r\n\r\n", ErrorCode::kDataLoss},
                      {"HTTP/1.1 200 OK\r\n", ErrorCode::kUnavailable},
                      {"", ErrorCode::kUnavailable},
                      {"HTTP/1.1 200 OK\r\n\r\nbody", ErrorCode::kUnimplemented},
                      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrorCode::kUnimplemented},
                      {"HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n", ErrorCode::kDataLoss},
                      {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", ErrorCode::kResourceExhausted},
                      {"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabc", ErrorCode::kInternal}};
  for (const Row& row : rows) {
    ScriptedServer server({says(row.answer)});
    HttpClient client(quick(server.bound()));
    const auto answer = client.get("/secret?s=signature", 1000);
    ASSERT_FALSE(answer) << row.answer.substr(0, 60);
    EXPECT_EQ(answer.error().code, row.code) << row.answer.substr(0, 60) << ": " << answer.error().message;
    EXPECT_EQ(answer.error().message.find("signature"), std::string::npos) << "grants stay out of messages";
  }
}

TEST(HttpClientTest, NobodyThereIsUnavailable) {
  HostPort nobody;
  {
    const auto listener = listen_tcp({"127.0.0.1", 0});
    nobody = listener->bound;
  }
  HttpClient client(quick(nobody));
  const auto answer = client.get("/", 10);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(exit_code(answer.error()), 4);
}

TEST(HttpClientTest, ASilentServerIsADeadline) {
  std::atomic<bool> done{false};
  ScriptedServer server({[&](int, const std::string&) { test::eventually([&] { return done.load(); }); }});
  HttpClientOptions options = quick(server.bound());
  options.answer_deadline = std::chrono::milliseconds(30);
  HttpClient client(options);
  const auto answer = client.get("/", 10);
  done = true;
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(HttpClientTest, AbortEndsACallThatWaits) {
  std::atomic<bool> waiting{false}, done{false};
  ScriptedServer server({[&](int, const std::string&) {
    waiting = true;
    test::eventually([&] { return done.load(); });
  }});
  HttpClient client(quick(server.bound()));
  std::thread aborter([&] {
    EXPECT_TRUE(test::eventually([&] { return waiting.load(); }));
    client.abort();
  });
  const auto answer = client.get("/", 10);
  aborter.join();
  done = true;
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(client.get("/", 10).error().code, ErrorCode::kCancelled);
}

class HttpUploadTest : public ::testing::Test {
 protected:
  void start() {
    HttpServerOptions options;
    options.listen = bound.port == 0 ? HostPort{"127.0.0.1", 0} : bound;
    auto started = HttpServer::start(options, [this](const HttpRequest& request) -> HttpDecision {
      if (request.method == "DELETE") return json_response(200, "\"gone\"");
      if (request.path == "/there") return json_response(200, "\"there\"");
      if (request.path == "/full") return problem(507, ErrorCode::kResourceExhausted, "full");
      return accept_text(64 * kMib, [this](std::string body) {
        received = std::move(body);
        return json_response(201, "\"new\"");
      });
    });
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);
    bound = server->bound();
  }
  HostPort bound;
  std::string received;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpUploadTest, SendsAPartOfAFileAndOnlyWhenAsked) {
  start();
  HttpClient client(quick(bound));
  std::string text(5 * kMib, '-');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 >> 3U);
  const UniqueFd file = std::move(*make_sealed("body", std::as_bytes(std::span(text))));
  const auto put = client.put("/new", {file.get(), 100, text.size() - 200});
  ASSERT_TRUE(put) << put.error().message;
  EXPECT_EQ(put->status, 201);
  EXPECT_EQ(received, text.substr(100, text.size() - 200));
  const std::uint64_t before = server->stats().bytes_in;
  EXPECT_EQ(client.put("/there", {file.get(), 0, text.size()})->status, 200);
  const auto full = client.put("/full", {file.get(), 0, text.size()});
  EXPECT_EQ(full.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(server->stats().bytes_in, before) << "no body went over the wire";
  EXPECT_EQ(client.put("/new", {file.get(), 0, 0})->status, 201) << "an empty file";
  EXPECT_EQ(client.remove("/x")->body, "\"gone\"\n");
}

TEST_F(HttpUploadTest, AKeptConnectionThatTheServerClosedIsNoError) {
  start();
  HttpClient client(quick(bound));
  for (int round = 0; round < 3; ++round) {
    const auto sent = client.send("PUT", "/new", "text");
    ASSERT_TRUE(sent) << sent.error().message;
    server->stop(kPatience);
    server.reset();
    start();
  }
}

}  // namespace
}  // namespace kiln::net
