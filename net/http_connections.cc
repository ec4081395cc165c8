#include "net/http_connections.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/log.h"
#include "net/http_connection.h"

namespace kiln::net {
namespace {

template <typename F>
auto without_throwing(F&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& error) {
    log::error("HTTP handler: {}", error.what());
    return problem(500, ErrorCode::kInternal, "an error inside of the server");
  }
}

}  // namespace

HttpDecision HttpService::decide(const HttpRequest& request) const {
  return without_throwing([&]() -> HttpDecision { return handler(request); });
}

HttpResponse HttpService::finish(BodySink& body) {
  return without_throwing([&] { return body.finish(); });
}

HttpResponse HttpService::refusal(const Error& error) const {
  const bool too_large = error.code == ErrorCode::kOutOfRange;
  ++(too_large ? counters.headers_too_large : counters.malformed);
  const int status = too_large ? 431 : error.code == ErrorCode::kUnimplemented ? 411 : 400;
  return problem(status, error.code, error.message);
}

HttpResponse HttpService::body_refusal(std::uint64_t bytes, std::uint64_t bytes_max) const {
  ++counters.bodies_too_large;
  return problem(413, ErrorCode::kOutOfRange, fmt::format("a body of {} bytes; at most {} are taken here", bytes, bytes_max));
}

struct HttpConnections::Impl {
  Impl(const HttpServerOptions& options, HttpHandler handler, HttpCounters& counters)
      : service{options, std::move(handler), counters} {
    service.forget = [this](const auto& connection) { forget(connection); };
  }

  void forget(const std::shared_ptr<HttpConnection>& connection) {
    const std::lock_guard guard(mutex);
    live.erase(connection);
    if (live.empty()) empty.notify_all();
  }

  HttpService service;
  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  std::vector<std::thread> threads;
  mutable std::mutex mutex;
  std::condition_variable empty;
  std::set<std::shared_ptr<HttpConnection>> live;
};

HttpConnections::HttpConnections(const HttpServerOptions& options, HttpHandler handler, HttpCounters& counters)
    : impl_(std::make_unique<Impl>(options, std::move(handler), counters)) {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, options.threads); ++i) {
    impl_->threads.emplace_back([&context = impl_->context] {
      // sendfile has no flag against SIGPIPE.
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      context.run();
    });
  }
}

HttpConnections::~HttpConnections() { drain(std::chrono::milliseconds(0)); }

void HttpConnections::serve(UniqueFd socket, std::string remote) {
  const auto connection = make_http_connection(impl_->service, impl_->context, std::move(socket), std::move(remote));
  {
    const std::lock_guard guard(impl_->mutex);
    impl_->live.insert(connection);
  }
  connection->start();
}

std::size_t HttpConnections::open() const {
  const std::lock_guard guard(impl_->mutex);
  return impl_->live.size();
}

void HttpConnections::drain(std::chrono::milliseconds patience) {
  if (impl_->threads.empty()) return;
  impl_->service.stopping = true;
  std::unique_lock lock(impl_->mutex);
  for (const auto& connection : impl_->live) connection->stop_when_idle();
  const auto none_left = [&] { return impl_->live.empty(); };
  if (!impl_->empty.wait_for(lock, patience, none_left)) {
    for (const auto& connection : impl_->live) connection->cut();
    impl_->empty.wait(lock, none_left);
  }
  lock.unlock();
  impl_->work.reset();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

}  // namespace kiln::net
