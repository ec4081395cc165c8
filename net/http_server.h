// An HTTP/1.1 server: handlers decide before a body is read, bodies stream into sinks, files leave with sendfile.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "base/metrics_text.h"
#include "net/http_message.h"
#include "net/tcp_socket.h"

namespace kiln::net {

// Takes a request's body piece by piece. Destroyed without finish() when the body does not come whole.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // An error ends the request: it is answered with problem(error), and the connection closes.
  [[nodiscard]] virtual Status append(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual HttpResponse finish() = 0;
};

struct AcceptBody {
  std::unique_ptr<BodySink> sink;
  std::uint64_t bytes_max = 0;  // a Content-Length beyond it is answered with 413 before anything is read
};
// What a handler says when it has seen the head of a request. An answer at once leaves the body unread: a client
// that sent "Expect: 100-continue" then never sends it.
using HttpDecision = std::variant<HttpResponse, AcceptBody>;
// For small bodies: `then` gets the whole of it.
[[nodiscard]] HttpDecision accept_text(std::uint64_t bytes_max, std::function<HttpResponse(std::string)> then);

// Called on any of the server's threads, several at a time; may block for the disk, not for other requests.
using HttpHandler = std::function<HttpDecision(const HttpRequest&)>;

inline constexpr std::size_t kHttpThreads = 8;
inline constexpr int kHttpUnsentBytesMax = 128 << 10;  // of one answer, in the kernel's hands and not under way
inline constexpr std::size_t kHttpConnectionsMax = 1024;
inline constexpr std::uint64_t kHttpLeftoverBytesMax = 256U << 10U;  // of an unread body, read to keep a connection
inline constexpr std::uint64_t kHttpLingerBytesMax = 4U << 20U;      // read while the client takes a last answer

struct HttpServerOptions {
  HostPort listen;
  std::size_t threads = kHttpThreads;
  std::size_t connections_max = kHttpConnectionsMax;
  std::chrono::milliseconds idle_deadline{60'000};    // between two requests
  std::chrono::milliseconds header_deadline{10'000};  // from a head's first byte to its last
  std::chrono::milliseconds mib_deadline{30'000};     // for each MiB of a body, either way
  std::chrono::milliseconds linger_deadline{2'000};   // for what a client still sends when it has its last answer
};

// Since the start; all only rise, but for connections_open.
struct HttpServerStats {
  std::uint64_t connections_open = 0;
  std::uint64_t connections = 0;
  std::uint64_t connections_refused = 0;  // beyond connections_max
  std::uint64_t requests = 0;
  std::uint64_t responses_2xx = 0;
  std::uint64_t responses_3xx = 0;
  std::uint64_t responses_4xx = 0;
  std::uint64_t responses_5xx = 0;
  std::uint64_t headers_too_large = 0;
  std::uint64_t malformed = 0;
  std::uint64_t bodies_too_large = 0;
  std::uint64_t bodies_cut = 0;  // the client went away, or was too slow
  std::uint64_t bodies_unread = 0;  // more than kHttpLeftoverBytesMax of one: its connection is closed
  std::uint64_t lingers_cut = 0;    // after kHttpLingerBytesMax
  std::uint64_t deadlines = 0;   // connections closed because the client was too slow, or idle
  std::uint64_t bytes_in = 0;    // of bodies
  std::uint64_t bytes_out = 0;
};
void append_metrics(MetricsText& text, const HttpServerStats& stats);

// Listens from start() to stop(). Owned by one thread; stats() may be called from any.
class HttpServer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, HttpHandler handler);
  ~HttpServer();  // stop() without patience
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] const HostPort& bound() const;
  [[nodiscard]] HttpServerStats stats() const;
  // Takes no new connections, closes idle ones, lets requests end until `patience` is over, then cuts them.
  // A handler is never cut: this waits for it.
  void stop(std::chrono::milliseconds patience);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
