// One client of an HttpServer, from its first request to its last. Internal to net/.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "net/http_connections.h"

namespace boost::asio {
class io_context;
}

namespace kiln::net {

// Any thread. It stays until it has said through `forget` that it is over.
class HttpConnection {
 public:
  virtual ~HttpConnection() = default;
  virtual void start() = 0;
  virtual void stop_when_idle() = 0;  // after the answer that is under way
  virtual void cut() = 0;
};

// What all connections of a server share; it outlives them.
struct HttpService {
  const HttpServerOptions options;
  const HttpHandler handler;
  HttpCounters& counters;
  std::function<void(const std::shared_ptr<HttpConnection>&)> forget{};
  std::atomic<bool> stopping{false};  // no further request is read

  // What a handler throws is an error of this program: 500, and the connection goes on.
  [[nodiscard]] HttpDecision decide(const HttpRequest& request) const;
  [[nodiscard]] static HttpResponse finish(BodySink& body);
  // To a head that is none, or too much of one.
  [[nodiscard]] HttpResponse refusal(const Error& error) const;
  [[nodiscard]] HttpResponse body_refusal(std::uint64_t bytes, std::uint64_t bytes_max) const;
};

[[nodiscard]] std::shared_ptr<HttpConnection> make_http_connection(HttpService& service, boost::asio::io_context& context,
                                                                   UniqueFd socket, std::string remote);

}  // namespace kiln::net
