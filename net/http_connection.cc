#include "net/http_connection.h"

#include <sys/sendfile.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
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
#include <optional>
#include <vector>

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

// Its coroutine and its timer run on one strand; owned by that coroutine and by who holds the server's connections.
class AsioConnection final : public HttpConnection, public std::enable_shared_from_this<AsioConnection> {
 public:
  using Strand = asio::strand<asio::io_context::executor_type>;
  AsioConnection(HttpService& service, Strand strand, UniqueFd socket, std::string remote)
      : service_(service), strand_(strand), socket_(strand), watchdog_(strand), remote_(std::move(remote)) {
    socket_.assign(tcp::v4(), socket.release());  // the family matters to nothing that is called here
  }

  void start() override;
  void stop_when_idle() override {
    asio::post(strand_, [self = shared_from_this()] {
      if (self->idle_) self->close();
    });
  }
  void cut() override {
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
  asio::awaitable<void> linger();
  void arm(std::chrono::milliseconds duration);
  void disarm() { watchdog_.expires_at(asio::steady_timer::time_point::max()); }
  void on_deadline();
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

  HttpService& service_;
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

void AsioConnection::start() {
  asio::co_spawn(
      strand_, [self = shared_from_this()]() -> asio::awaitable<void> { return self->run(); }, asio::detached);
}

asio::awaitable<void> AsioConnection::run() {
  const auto self = shared_from_this();
  bool more = true;
  while (more) more = co_await serve_one();
  if (lingers_) co_await linger();
  disarm();
  watchdog_.cancel();
  close();
  service_.forget(self);
}

void AsioConnection::arm(std::chrono::milliseconds duration) {
  since_armed_ = 0;
  watchdog_.expires_after(duration);
  watchdog_.async_wait([weak = weak_from_this()](error_code error) {
    const auto self = weak.lock();
    if (!error && self) self->on_deadline();
  });
}

void AsioConnection::on_deadline() {
  // It may have been armed again between its end and this call.
  if (watchdog_.expiry() > asio::steady_timer::clock_type::now()) return;
  if (!lingers_) ++service_.counters.deadlines;
  close();
}

asio::awaitable<bool> AsioConnection::wait_for_request() {
  if (service_.stopping) co_return false;
  if (!pending_.empty()) co_return true;  // sent together with the last one
  error_code error;
  idle_ = true;
  arm(service_.options.idle_deadline);
  co_await socket_.async_wait(tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
  idle_ = false;
  co_return !error;
}

asio::awaitable<bool> AsioConnection::receive_head_piece() {
  const std::size_t before = pending_.size();
  pending_.resize(before + kHeadPieceBytes);
  error_code error;
  const std::size_t bytes =
      co_await socket_.async_read_some(asio::buffer(pending_.data() + before, kHeadPieceBytes),
                                       asio::redirect_error(asio::use_awaitable, error));
  pending_.resize(before + bytes);
  co_return !error;
}

asio::awaitable<bool> AsioConnection::serve_one() {
  const bool came = co_await wait_for_request();
  if (!came) co_return false;
  RequestParser parser;
  arm(service_.options.header_deadline);
  Result<std::optional<RequestHead>> head = parser.take(pending_);
  while (head && !*head) {
    const bool more = co_await receive_head_piece();
    if (!more) co_return false;
    head = parser.take(pending_);
  }
  if (!head) {
    HttpResponse refusal = service_.refusal(head.error());
    lingers_ = true;
    co_await send(refusal, true, false);
    co_return false;
  }
  ++service_.counters.requests;
  HttpRequest& request = (*head)->request;
  request.remote = remote_;
  unread_ = request.content_length.value_or(0);
  co_return co_await answer(request, (*head)->keep_alive);
}

asio::awaitable<bool> AsioConnection::answer(HttpRequest& request, bool keep_alive) {
  disarm();  // the handler's time is not the client's
  HttpDecision decision = service_.decide(request);
  std::optional<HttpResponse> response;
  if (auto* now = std::get_if<HttpResponse>(&decision)) {
    response = std::move(*now);
  } else {
    response = co_await take_body(request, std::move(std::get<AcceptBody>(decision)));
  }
  if (!response) co_return false;
  // A client that was promised nothing (100-continue) may or may not send its body: only a new connection is clear.
  const bool can_skip = unread_ == 0 || (!request.expects_continue && unread_ <= kHttpLeftoverBytesMax);
  const bool keep = keep_alive && !response->close && can_skip && !service_.stopping;
  lingers_ = !keep && unread_ > 0;
  service_.counters.bodies_unread += unread_ > kHttpLeftoverBytesMax ? 1U : 0U;
  bool sent = co_await send(*response, request.method != "HEAD", keep);
  response.reset();
  if (sent && keep && unread_ > 0) sent = co_await skip_body();
  co_return sent && keep;
}

asio::awaitable<std::optional<HttpResponse>> AsioConnection::take_body(const HttpRequest& request, AcceptBody body) {
  if (unread_ > body.bytes_max) co_return service_.body_refusal(unread_, body.bytes_max);
  arm(service_.options.mib_deadline);
  if (request.expects_continue && unread_ > 0 && pending_.empty()) {
    error_code error;
    co_await asio::async_write(socket_, asio::buffer(kContinue), asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return std::nullopt;
  }
  while (unread_ > 0) {
    const std::span<const std::byte> piece = co_await next_piece();
    if (piece.empty()) {
      ++service_.counters.bodies_cut;
      co_return std::nullopt;
    }
    const Status taken = body.sink->append(piece);
    if (!taken) co_return problem(taken.error());
  }
  disarm();
  co_return HttpService::finish(*body.sink);
}

asio::awaitable<std::span<const std::byte>> AsioConnection::next_piece() {
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
  service_.counters.bytes_in += piece.size();
  since_armed_ += piece.size();
  if (since_armed_ >= kMib) arm(service_.options.mib_deadline);
  co_return piece;
}

asio::awaitable<bool> AsioConnection::skip_body() {
  arm(service_.options.mib_deadline);
  while (unread_ > 0) {
    const std::span<const std::byte> piece = co_await next_piece();
    if (piece.empty()) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> AsioConnection::send(HttpResponse& response, bool with_body, bool keep) {
  const std::string head = response_head(response, keep);
  const bool bodiless = !with_body || response.status == 304 || response.status == 204;
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head),
                                                bodiless ? asio::const_buffer() : asio::buffer(response.body)};
  const std::size_t bytes = asio::buffer_size(parts);
  ++service_.counters.responses[static_cast<std::size_t>(response.status / 100) % 6];
  arm(service_.options.mib_deadline * static_cast<int>(1 + bytes / kMib));
  error_code error;
  co_await asio::async_write(socket_, parts, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return false;
  service_.counters.bytes_out += bytes;
  if (bodiless || !response.file) co_return true;
  co_return co_await send_file(*response.file);
}

asio::awaitable<bool> AsioConnection::send_file(const HttpFile& file) {
  off_t offset = static_cast<off_t>(file.offset);
  std::uint64_t left = file.bytes;
  arm(service_.options.mib_deadline);
  while (left > 0) {
    const ssize_t n = ::sendfile(socket_.native_handle(), file.fd.get(), &offset,
                                 static_cast<std::size_t>(std::min(left, kMib)));
    if (n > 0) {
      left -= static_cast<std::uint64_t>(n);
      service_.counters.bytes_out += static_cast<std::uint64_t>(n);
      since_armed_ += static_cast<std::uint64_t>(n);
      if (since_armed_ >= kMib) arm(service_.options.mib_deadline);
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
asio::awaitable<void> AsioConnection::linger() {
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  arm(service_.options.linger_deadline);
  if (body_buffer_.empty()) body_buffer_.resize(kBodyBufferBytes);
  std::uint64_t total = 0;
  while (!error && total < kHttpLingerBytesMax) {
    total += co_await socket_.async_read_some(asio::buffer(body_buffer_),
                                              asio::redirect_error(asio::use_awaitable, error));
  }
  service_.counters.lingers_cut += total >= kHttpLingerBytesMax ? 1U : 0U;
}

}  // namespace

std::shared_ptr<HttpConnection> make_http_connection(HttpService& service, asio::io_context& context, UniqueFd socket,
                                                     std::string remote) {
  return std::make_shared<AsioConnection>(service, AsioConnection::Strand(context.get_executor()), std::move(socket),
                                          std::move(remote));
}

}  // namespace kiln::net
