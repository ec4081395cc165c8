// The connections of one HttpServer and the threads that serve them. Internal to net/.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "net/http_server.h"

namespace kiln::net {

struct HttpCounters {
  std::atomic<std::uint64_t> connections{0}, connections_refused{0}, requests{0}, headers_too_large{0}, malformed{0},
      bodies_too_large{0}, bodies_cut{0}, bodies_unread{0}, lingers_cut{0}, deadlines{0}, bytes_in{0}, bytes_out{0};
  std::atomic<std::uint64_t> responses[6] = {};  // by hundreds
};

class HttpConnections {
 public:
  HttpConnections(const HttpServerOptions& options, HttpHandler handler, HttpCounters& counters);
  ~HttpConnections();  // drained before

  void serve(UniqueFd socket, std::string remote);
  [[nodiscard]] std::size_t open() const;
  // As HttpServer::stop; afterwards there are no connections and no threads.
  void drain(std::chrono::milliseconds patience);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
