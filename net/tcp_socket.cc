#include "net/tcp_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>

namespace kiln::net {
namespace {

constexpr int kListenBacklog = 512;

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Result<Addresses> resolve(const HostPort& address, bool passive) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return fail(make_error(ErrorCode::kUnavailable, "host '{}': {}", address.host, ::gai_strerror(error)));
  }
  return Addresses(found, &::freeaddrinfo);
}

bool is_loopback_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24U) == 127;
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
  }
  return false;
}

UniqueFd open_socket(const addrinfo& address) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd.valid()) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

Result<HostPort> bound_address(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(socket, address, &length) != 0) return fail(errno_error(errno, "getsockname"));
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const int error = ::getnameinfo(address, length, host.data(), host.size(), port.data(), port.size(),
                                  NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return fail(make_error(ErrorCode::kInternal, "getnameinfo: {}", ::gai_strerror(error)));
  return HostPort{host.data(), static_cast<std::uint16_t>(std::stoul(port.data()))};
}

Error listen_error(const HostPort& address, int error) {
  if (error == EADDRINUSE) {
    return make_error(ErrorCode::kAborted, ExitCode::kTryAgain,
                      "cannot listen on {}: another program has this port; name another one, or 0 for any free one",
                      address.text());
  }
  return errno_error(error, "cannot listen on " + address.text());
}

// kDeadlineExceeded, or the socket is ready.
Status wait_for(int socket, short events, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(make_error(ErrorCode::kDeadlineExceeded, "the other side is too slow"));
    pollfd poll_fd{socket, events, 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(left.count()) + 1);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
  }
}

Error broken(int error, std::string_view what) {
  Error out = errno_error(error, what);
  out.code = ErrorCode::kUnavailable;
  return out;
}

Status finish_connect(int socket, Deadline deadline) {
  KILN_TRY(wait_for(socket, POLLOUT, deadline));
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return fail(broken(error, "connect"));
  return {};
}

}  // namespace

std::string HostPort::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
  if (host.empty() || !whole || (!bracketed && host.find(':') != std::string_view::npos)) {
    return fail(make_error(ErrorCode::kInvalidArgument, "'{}' is no HOST:PORT, such as 127.0.0.1:7070 or [::1]:0",
                           text));
  }
  return HostPort{std::string(host), port};
}

Result<bool> is_loopback(const std::string& host) {
  KILN_TRY_ASSIGN(const Addresses addresses, resolve({host, 0}, true));
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    if (!is_loopback_address(*at->ai_addr)) return false;
  }
  return true;
}

Result<Listener> listen_tcp(const HostPort& address) {
  KILN_TRY_ASSIGN(const Addresses addresses, resolve(address, true));
  const addrinfo& first = *addresses;
  UniqueFd socket = open_socket(first);
  if (!socket.valid()) return fail(listen_error(address, errno));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), first.ai_addr, first.ai_addrlen) != 0 || ::listen(socket.get(), kListenBacklog) != 0) {
    return fail(listen_error(address, errno));
  }
  KILN_TRY_ASSIGN(HostPort bound, bound_address(socket.get()));
  return Listener{std::move(socket), std::move(bound)};
}

Result<UniqueFd> connect_tcp(const HostPort& address, Deadline deadline) {
  KILN_TRY_ASSIGN(const Addresses addresses, resolve(address, false));
  Error last = make_error(ErrorCode::kUnavailable, "no address");
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    UniqueFd socket = open_socket(*at);
    if (!socket.valid()) return fail(errno_error(errno, "socket"));
    Status connected;
    if (::connect(socket.get(), at->ai_addr, at->ai_addrlen) != 0) {
      connected = errno == EINPROGRESS ? finish_connect(socket.get(), deadline) : fail(broken(errno, "connect"));
    }
    if (connected) return socket;
    last = connected.error();
  }
  return fail(make_error(ErrorCode::kUnavailable, "{} cannot be reached: {}", address.text(), last.message));
}

Result<std::size_t> receive_some(int socket, std::span<std::byte> bytes, Deadline deadline) {
  while (true) {
    const ssize_t n = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return fail(broken(errno, "receive"));
    KILN_TRY(wait_for(socket, POLLIN, deadline));
  }
}

Status send_all(int socket, std::span<const std::byte> bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      KILN_TRY(wait_for(socket, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return fail(broken(errno, "send"));
    }
  }
  return {};
}

}  // namespace kiln::net
