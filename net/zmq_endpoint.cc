#include "net/zmq_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "base/fd.h"

namespace kiln::net {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kAny = "*";
constexpr std::uint32_t kLoopbackNet = 127;  // of 127.0.0.0/8

template <typename... Args>
tl::unexpected<Error> bad_endpoint(std::string_view text, fmt::format_string<Args...> format, Args&&... args) {
  return fail(make_error(ErrorCode::kInvalidArgument, "endpoint '{}': {}", text,
                         fmt::format(format, std::forward<Args>(args)...)));
}

bool is_port(std::string_view port, EndpointUse use) {
  if (port == kAny) return use == EndpointUse::kBind;
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && (number != 0 || use == EndpointUse::kBind);
}

Result<Endpoint> parse_tcp(std::string_view text, EndpointUse use) {
  const std::string_view rest = text.substr(kTcp.size());
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad_endpoint(text, "tcp://HOST:PORT is expected");
  std::string_view host = rest.substr(0, colon);
  Endpoint endpoint;
  endpoint.port = rest.substr(colon + 1);
  if (!is_port(endpoint.port, use)) {
    return bad_endpoint(text, "'{}' is no port{}", endpoint.port,
                        use == EndpointUse::kConnect ? " to connect to" : " (1 to 65535, or 0 for any free one)");
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    in6_addr address{};
    if (::inet_pton(AF_INET6, std::string(host).c_str(), &address) != 1) {
      return bad_endpoint(text, "'{}' is no IPv6 address", host);
    }
    endpoint.is_ipv6 = true;
  } else if (host.find_first_of(":;[]/ ") != std::string_view::npos) {
    return bad_endpoint(text, "'{}' is no host (an IPv6 address stands in brackets)", host);
  }
  if (host == kAny && use == EndpointUse::kConnect) return bad_endpoint(text, "'*' is no host to connect to");
  endpoint.host = host == "localhost" ? "127.0.0.1" : std::string(host);
  const std::string_view open = endpoint.is_ipv6 ? "[" : "";
  const std::string_view close = endpoint.is_ipv6 ? "]" : "";
  endpoint.text = fmt::format("{}{}{}{}:{}", kTcp, open, endpoint.host, close, endpoint.port);
  return endpoint;
}

Result<Endpoint> parse_ipc(std::string_view text) {
  Endpoint endpoint;
  endpoint.is_ipc = true;
  endpoint.path = text.substr(kIpc.size());
  endpoint.text = text;
  if (endpoint.path.empty() || endpoint.path.find('\0') != std::string::npos) {
    return bad_endpoint(text, "ipc://PATH is expected");
  }
  if (endpoint.path.starts_with('*')) return bad_endpoint(text, "a path is expected, not '*'");
  if (endpoint.path.size() >= sizeof(sockaddr_un::sun_path)) {
    return bad_endpoint(text, "the path has {} bytes; a socket's has at most {}", endpoint.path.size(),
                        sizeof(sockaddr_un::sun_path) - 1);
  }
  return endpoint;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text, EndpointUse use) {
  if (text.starts_with(kTcp)) return parse_tcp(text, use);
  if (text.starts_with(kIpc)) return parse_ipc(text);
  return bad_endpoint(text, "tcp://HOST:PORT or ipc://PATH is expected");
}

bool stays_on_this_machine(const Endpoint& endpoint) {
  if (endpoint.is_ipc) return true;
  if (endpoint.is_ipv6) {
    in6_addr address{};
    return ::inet_pton(AF_INET6, endpoint.host.c_str(), &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address);
  }
  in_addr address{};
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &address) != 1) return false;
  return (ntohl(address.s_addr) >> 24U) == kLoopbackNet;
}

Status check_ipc_path_is_free(const Endpoint& endpoint) {
  if (!endpoint.is_ipc || endpoint.path.starts_with('@')) return {};
  struct stat info {};
  if (::lstat(endpoint.path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kOutputUnwritable,
                           "{} exists and is no socket: it would be deleted", endpoint.path));
  }
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return fail(errno_error(errno, "socket"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, endpoint.path.data(), endpoint.path.size());
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  // Of a program that is gone: nobody listens. EAGAIN: somebody does, and has many waiting.
  if (connected != 0 && errno != EAGAIN) return {};
  return fail(make_error(ErrorCode::kUnavailable, ExitCode::kTryAgain,
                         "{} is in use by another program (see 'ss -lxp'): stop it, or take another path",
                         endpoint.path));
}

}  // namespace kiln::net
