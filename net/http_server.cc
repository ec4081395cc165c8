#include "net/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "net/http_connections.h"

namespace kiln::net {
namespace {

constexpr std::string_view kBusyAnswer =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
// When no descriptor is left for a connection the listener stays readable: look again after a while.
constexpr int kNoDescriptorsWaitMs = 50;

class TextSink final : public BodySink {
 public:
  explicit TextSink(std::function<HttpResponse(std::string)> then) : then_(std::move(then)) {}
  Status append(std::span<const std::byte> bytes) override {
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  HttpResponse finish() override { return then_(std::move(text_)); }

 private:
  std::function<HttpResponse(std::string)> then_;
  std::string text_;
};

std::string address_text(const sockaddr_storage& address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const int error = ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host.data(), host.size(),
                                  port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return "unknown";
  return HostPort{host.data(), static_cast<std::uint16_t>(std::stoul(port.data()))}.text();
}

}  // namespace

HttpDecision accept_text(std::uint64_t bytes_max, std::function<HttpResponse(std::string)> then) {
  return AcceptBody{std::make_unique<TextSink>(std::move(then)), bytes_max};
}

struct HttpServer::Impl {
  Impl(HttpServerOptions server_options, HttpHandler handler, Listener server_listener, UniqueFd server_wake)
      : options(std::move(server_options)),
        listener(std::move(server_listener)),
        wake(std::move(server_wake)),
        connections(options, std::move(handler), counters) {}

  void accept_until_woken();
  void accept_one(int socket, const std::string& remote);

  HttpServerOptions options;
  Listener listener;
  UniqueFd wake;  // readable: stop accepting
  HttpCounters counters;
  HttpConnections connections;
  std::thread acceptor;
};

void HttpServer::Impl::accept_until_woken() {
  while (true) {
    std::array<pollfd, 2> polls{{{listener.socket.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}}};
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return;
    if (polls[1].revents != 0) return;
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    const int socket = ::accept4(listener.socket.get(), reinterpret_cast<sockaddr*>(&address), &length,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      accept_one(socket, address_text(address, length));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      ++counters.connections_refused;
      ::poll(&polls[1], 1, kNoDescriptorsWaitMs);
    }
  }
}

void HttpServer::Impl::accept_one(int socket, const std::string& remote) {
  UniqueFd connection(socket);
  if (connections.open() >= options.connections_max) {
    ++counters.connections_refused;
    // Best effort: the send buffer of a new connection takes it at once.
    [[maybe_unused]] const ssize_t n = ::send(socket, kBusyAnswer.data(), kBusyAnswer.size(), MSG_NOSIGNAL);
    return;
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // What waits to be sent when a reader leaves (ffmpeg, at every seek) was read from disk and counted for nothing.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kHttpUnsentBytesMax, sizeof kHttpUnsentBytesMax);
  ++counters.connections;
  connections.serve(std::move(connection), remote);
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, HttpHandler handler) {
  KILN_TRY_ASSIGN(Listener listener, listen_tcp(options.listen));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake.valid()) return fail(errno_error(errno, "eventfd"));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler), std::move(listener), std::move(wake));
  impl->acceptor = std::thread([&server = *impl] { server.accept_until_woken(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

const HostPort& HttpServer::bound() const { return impl_->listener.bound; }

void HttpServer::stop(std::chrono::milliseconds patience) {
  if (!impl_->acceptor.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(impl_->wake.get(), &one, sizeof one);
  impl_->acceptor.join();
  impl_->listener.socket.reset();  // from here on new clients are refused by the kernel
  impl_->connections.drain(patience);
}

HttpServerStats HttpServer::stats() const {
  const HttpCounters& counters = impl_->counters;
  HttpServerStats stats;
  stats.connections_open = impl_->connections.open();
  stats.connections = counters.connections;
  stats.connections_refused = counters.connections_refused;
  stats.requests = counters.requests;
  stats.responses_2xx = counters.responses[2];
  stats.responses_3xx = counters.responses[3];
  stats.responses_4xx = counters.responses[4];
  stats.responses_5xx = counters.responses[5];
  stats.headers_too_large = counters.headers_too_large;
  stats.malformed = counters.malformed;
  stats.bodies_too_large = counters.bodies_too_large;
  stats.bodies_cut = counters.bodies_cut;
  stats.bodies_unread = counters.bodies_unread;
  stats.lingers_cut = counters.lingers_cut;
  stats.deadlines = counters.deadlines;
  stats.bytes_in = counters.bytes_in;
  stats.bytes_out = counters.bytes_out;
  return stats;
}

void append_metrics(MetricsText& text, const HttpServerStats& stats) {
  text.gauge("kiln_http_connections", "Connections that are open", stats.connections_open);
  text.counter("kiln_http_connections_total", "Connections taken", stats.connections);
  text.counter("kiln_http_connections_refused_total", "Connections beyond the limit", stats.connections_refused);
  text.counter("kiln_http_requests_total", "Requests whose head was read", stats.requests);
  constexpr std::string_view kResponses = "kiln_http_responses_total";
  constexpr std::string_view kResponsesHelp = "Answers by kind of status";
  text.counter(kResponses, kResponsesHelp, stats.responses_2xx, {{"status", "2xx"}});
  text.counter(kResponses, kResponsesHelp, stats.responses_3xx, {{"status", "3xx"}});
  text.counter(kResponses, kResponsesHelp, stats.responses_4xx, {{"status", "4xx"}});
  text.counter(kResponses, kResponsesHelp, stats.responses_5xx, {{"status", "5xx"}});
  text.counter("kiln_http_headers_too_large_total", "Heads beyond 16 KiB", stats.headers_too_large);
  text.counter("kiln_http_malformed_total", "Bytes that are no request", stats.malformed);
  text.counter("kiln_http_bodies_too_large_total", "Bodies beyond their limit", stats.bodies_too_large);
  text.counter("kiln_http_bodies_cut_total", "Bodies that did not come whole", stats.bodies_cut);
  text.counter("kiln_http_bodies_unread_total", "Connections closed rather than reading a long body that is not wanted",
               stats.bodies_unread);
  text.counter("kiln_http_lingers_cut_total", "Connections closed on a client that went on sending after its last answer",
               stats.lingers_cut);
  text.counter("kiln_http_deadlines_total", "Connections closed for slowness or idleness", stats.deadlines);
  text.counter("kiln_http_received_bytes_total", "Bytes of bodies received", stats.bytes_in);
  text.counter("kiln_http_sent_bytes_total", "Bytes of answers sent", stats.bytes_out);
}

}  // namespace kiln::net
