#include "net/http_connection.h"

#include <sys/sendfile.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/log.h"
#include "net/http_head.h"
#include "net/http_parser.h"

namespace kiln::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint64_t kMib = 1U << 20U;
constexpr std::size_t kBodyBufferBytes = 256U << 10U;
constexpr std::size_t kHeadPieceBytes = 8U << 10U;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// What a handler throws is an error of this program: 500, and the connection goes on.
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

// One client. Its coroutine and its timer run on one strand; owned by that coroutine and the set in Impl.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Strand = asio::strand<asio::io_context::executor_type>;
  HttpConnection(HttpConnections::Impl& shared, Strand strand, UniqueFd socket, std::string remote)
      : shared_(shared), strand_(strand), socket_(strand), watchdog_(strand), remote_(std::move(remote)) {
    socket_.assign(tcp::v4(), socket.release());  // the family matters to nothing that is called here
  }

  void start();
  void stop_when_idle() {
    asio::post(strand_, [self = shared_from_this()] {
      if (self->idle_) self->close();
    });
  }
  void cut() {
    asio::post(strand_, [self = shared_from_this()] { self->close(); });
  }

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> serve_one();  // false: the connection is to end
  asio::awaitable<bool> wait_for_request();
  asio::awaitable<bool> answer(HttpRequest& request, bool keep_alive);
  asio::awaitable<std::optional<HttpResponse>> take_body(const HttpRequest& request, AcceptBody body);
  asio::awaitable<std::span<const std::byte>> next_piece();  // empty: the client is gone
  asio::awaitable<bool> skip_body();
  asio::awaitable<bool> send(HttpResponse& response, bool with_body, bool keep);
  asio::awaitable<bool> send_file(const HttpFile& file);
  asio::awaitable<bool> receive_head_piece();
  asio::awaitable<void> refuse_head(const Error& error);
  asio::awaitable<void> linger();
  void arm(std::chrono::milliseconds duration);
  void disarm() { watchdog_.expires_at(asio::steady_timer::time_point::max()); }
  void on_deadline();
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

  HttpConnections::Impl& shared_;
  Strand strand_;
  tcp::socket socket_;
  asio::steady_timer watchdog_;
  std::string remote_;
  std::string pending_;                 // received, not yet consumed: a head, and what came right after it
  std::vector<std::byte> body_buffer_;  // made by the first body
  std::uint64_t unread_ = 0;            // bytes of the current body that are still to come
  std::uint64_t since_armed_ = 0;       // bytes moved under the current deadline
  bool idle_ = false;
  bool lingers_ = false;
};

struct HttpConnections::Impl {
  Impl(const HttpServerOptions& server_options, HttpHandler server_handler, HttpCounters& server_counters)
      : options(server_options), handler(std::move(server_handler)), counters(server_counters) {}

  void forget(const std::shared_ptr<HttpConnection>& connection) {
    const std::lock_guard guard(mutex);
    live.erase(connection);
    if (live.empty()) empty.notify_all();
  }

  const HttpServerOptions options;
  const HttpHandler handler;
  HttpCounters& counters;
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::vector<std::thread> threads;
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;
  std::condition_variable empty;
  std::set<std::shared_ptr<HttpConnection>> live;
};

void HttpConnection::start() {
  asio::co_spawn(
      strand_, [self = shared_from_this()]() -> asio::awaitable<void> { return self->run(); }, asio::detached);
}

asio::awaitable<void> HttpConnection::run() {
  const auto self = shared_from_this();
  bool more = true;
  while (more) more = co_await serve_one();
  if (lingers_) co_await linger();
  disarm();
  watchdog_.cancel();
  close();
  shared_.forget(self);
}

void HttpConnection::arm(std::chrono::milliseconds duration) {
  since_armed_ = 0;
  watchdog_.expires_after(duration);
  watchdog_.async_wait([weak = weak_from_this()](error_code error) {
    const auto self = weak.lock();
    if (!error && self) self->on_deadline();
  });
}

void HttpConnection::on_deadline() {
  // It may have been armed again between its end and this call.
  if (watchdog_.expiry() > asio::steady_timer::clock_type::now()) return;
  if (!lingers_) ++shared_.counters.deadlines;
  close();
}

asio::awaitable<bool> HttpConnection::wait_for_request() {
  if (shared_.stopping) co_return false;
  if (!pending_.empty()) co_return true;  // sent together with the last one
  error_code error;
  idle_ = true;
  arm(shared_.options.idle_deadline);
  co_await socket_.async_wait(tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
  idle_ = false;
  co_return !error;
}

asio::awaitable<bool> HttpConnection::receive_head_piece() {
  const std::size_t before = pending_.size();
  pending_.resize(before + kHeadPieceBytes);
  error_code error;
  const std::size_t bytes =
      co_await socket_.async_read_some(asio::buffer(pending_.data() + before, kHeadPieceBytes),
                                       asio::redirect_error(asio::use_awaitable, error));
  pending_.resize(before + bytes);
  co_return !error;
}

asio::awaitable<bool> HttpConnection::serve_one() {
  const bool came = co_await wait_for_request();
  if (!came) co_return false;
  RequestParser parser;
  arm(shared_.options.header_deadline);
  Result<std::optional<RequestHead>> head = parser.take(pending_);
  while (head && !*head) {
    const bool more = co_await receive_head_piece();
    if (!more) co_return false;
    head = parser.take(pending_);
  }
  if (!head) {
    co_await refuse_head(head.error());
    co_return false;
  }
  ++shared_.counters.requests;
  HttpRequest& request = (*head)->request;
  request.remote = remote_;
  unread_ = request.content_length.value_or(0);
  co_return co_await answer(request, (*head)->keep_alive);
}

asio::awaitable<void> HttpConnection::refuse_head(const Error& error) {
  int status = 400;
  if (error.code == ErrorCode::kOutOfRange) {
    status = 431;
    ++shared_.counters.headers_too_large;
  } else {
    if (error.code == ErrorCode::kUnimplemented) status = 411;
    ++shared_.counters.malformed;
  }
  HttpResponse refusal = problem(status, error.code, error.message);
  lingers_ = true;
  co_await send(refusal, true, false);
}

asio::awaitable<bool> HttpConnection::answer(HttpRequest& request, bool keep_alive) {
  disarm();  // the handler's time is not the client's
  HttpDecision decision = without_throwing([&]() -> HttpDecision { return shared_.handler(request); });
  std::optional<HttpResponse> response;
  if (auto* now = std::get_if<HttpResponse>(&decision)) {
    response = std::move(*now);
  } else {
    response = co_await take_body(request, std::move(std::get<AcceptBody>(decision)));
  }
  if (!response) co_return false;
  // A client that was promised nothing (100-continue) may or may not send its body: only a new connection is clear.
  const bool can_skip = unread_ == 0 || (!request.expects_continue && unread_ <= kHttpLeftoverBytesMax);
  const bool keep = keep_alive && !response->close && can_skip && !shared_.stopping;
  lingers_ = !keep && unread_ > 0;
  bool sent = co_await send(*response, request.method != "HEAD", keep);
  response.reset();
  if (sent && keep && unread_ > 0) sent = co_await skip_body();
  co_return sent && keep;
}

asio::awaitable<std::optional<HttpResponse>> HttpConnection::take_body(const HttpRequest& request, AcceptBody body) {
  if (unread_ > body.bytes_max) {
    ++shared_.counters.bodies_too_large;
    co_return problem(413, ErrorCode::kOutOfRange,
                      fmt::format("a body of {} bytes; at most {} are taken here", unread_, body.bytes_max));
  }
  arm(shared_.options.mib_deadline);
  if (request.expects_continue && unread_ > 0 && pending_.empty()) {
    error_code error;
    co_await asio::async_write(socket_, asio::buffer(kContinue), asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return std::nullopt;
  }
  while (unread_ > 0) {
    const std::span<const std::byte> piece = co_await next_piece();
    if (piece.empty()) {
      ++shared_.counters.bodies_cut;
      co_return std::nullopt;
    }
    const Status taken = body.sink->append(piece);
    if (!taken) co_return problem(taken.error());
  }
  disarm();
  co_return without_throwing([&] { return body.sink->finish(); });
}

asio::awaitable<std::span<const std::byte>> HttpConnection::next_piece() {
  if (body_buffer_.empty()) body_buffer_.resize(kBodyBufferBytes);
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(body_buffer_.size(), unread_));
  std::size_t bytes = std::min(wanted, pending_.size());
  if (bytes > 0) {
    std::copy_n(std::as_bytes(std::span(pending_)).begin(), bytes, body_buffer_.begin());
    pending_.erase(0, bytes);
  } else {
    error_code error;
    bytes = co_await socket_.async_read_some(asio::buffer(body_buffer_.data(), wanted),
                                             asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return std::span<const std::byte>();
  }
  const std::span<const std::byte> piece = std::span<const std::byte>(body_buffer_).first(bytes);
  unread_ -= piece.size();
  shared_.counters.bytes_in += piece.size();
  since_armed_ += piece.size();
  if (since_armed_ >= kMib) arm(shared_.options.mib_deadline);
  co_return piece;
}

asio::awaitable<bool> HttpConnection::skip_body() {
  arm(shared_.options.mib_deadline);
  while (unread_ > 0) {
    const std::span<const std::byte> piece = co_await next_piece();
    if (piece.empty()) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> HttpConnection::send(HttpResponse& response, bool with_body, bool keep) {
  const std::string head = response_head(response, keep);
  const bool bodiless = !with_body || response.status == 304 || response.status == 204;
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head),
                                                bodiless ? asio::const_buffer() : asio::buffer(response.body)};
  const std::size_t bytes = asio::buffer_size(parts);
  ++shared_.counters.responses[static_cast<std::size_t>(response.status / 100) % 6];
  arm(shared_.options.mib_deadline * static_cast<int>(1 + bytes / kMib));
  error_code error;
  co_await asio::async_write(socket_, parts, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return false;
  shared_.counters.bytes_out += bytes;
  if (bodiless || !response.file) co_return true;
  co_return co_await send_file(*response.file);
}

asio::awaitable<bool> HttpConnection::send_file(const HttpFile& file) {
  off_t offset = static_cast<off_t>(file.offset);
  std::uint64_t left = file.bytes;
  arm(shared_.options.mib_deadline);
  while (left > 0) {
    const ssize_t n = ::sendfile(socket_.native_handle(), file.fd.get(), &offset,
                                 static_cast<std::size_t>(std::min(left, kMib)));
    if (n > 0) {
      left -= static_cast<std::uint64_t>(n);
      shared_.counters.bytes_out += static_cast<std::uint64_t>(n);
      since_armed_ += static_cast<std::uint64_t>(n);
      if (since_armed_ >= kMib) arm(shared_.options.mib_deadline);
    } else if (n < 0 && errno == EAGAIN) {
      error_code error;
      co_await socket_.async_wait(tcp::socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return false;
    } else if (n == 0 || errno != EINTR) {
      co_return false;  // the client went away, or the file is shorter than it was: the connection says so by ending
    }
  }
  co_return true;
}

// Closing with bytes unread resets the connection, and the client may lose the answer that it was just sent.
asio::awaitable<void> HttpConnection::linger() {
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  arm(shared_.options.linger_deadline);
  if (body_buffer_.empty()) body_buffer_.resize(kBodyBufferBytes);
  std::uint64_t total = 0;
  while (!error && total < kHttpLingerBytesMax) {
    total += co_await socket_.async_read_some(asio::buffer(body_buffer_),
                                              asio::redirect_error(asio::use_awaitable, error));
  }
}

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
  const auto connection = std::make_shared<HttpConnection>(*impl_, HttpConnection::Strand(impl_->context.get_executor()),
                                                       std::move(socket), std::move(remote));
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
  impl_->stopping = true;
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
