#include "net/router_socket.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <utility>

#include "net/socket_monitor.h"
#include "net/zmq_endpoint.h"
#include "net/zmq_socket.h"

namespace kiln::net {
namespace {

// What libzmq calls a connection that asked for no identity: a zero, then a number. Identities that peers choose
// are not taken: with one of them, a client could receive what is meant for a worker.
constexpr std::size_t kOwnIdentityBytes = 5;
constexpr std::uint32_t kIpcMode = 0600;
constexpr uid_t kRoot = 0;

bool is_own_identity(std::string_view identity) {
  return identity.size() == kOwnIdentityBytes && identity.front() == '\0';
}

Status check_door(const Endpoint& endpoint, const SocketSecurity& security, const KeyCheck& check) {
  if (!security.own && !stays_on_this_machine(endpoint)) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kBadConfig,
                           "{} can be reached from other machines and needs keys: make one with 'kiln keygen', or "
                           "listen on 127.0.0.1",
                           endpoint.text));
  }
  if (security.own && !check.running()) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "{} is not opened: the key check does not run, and without it every key would be let in",
                           endpoint.text));
  }
  return check_ipc_path_is_free(endpoint);
}

Status set_router_options(ZmqSocket& socket, const Endpoint& endpoint, const SocketSecurity& security) {
  KILN_TRY(set_farm_options(socket, endpoint, kRouterQueueMax));
  KILN_TRY(socket.set(ZMQ_ROUTER_MANDATORY, 1));
  if (security.own) {
    KILN_TRY(socket.set(ZMQ_CURVE_SERVER, 1));
    KILN_TRY(socket.set(ZMQ_CURVE_SECRETKEY, security.own->secret_z85));
    return socket.set(ZMQ_ZAP_DOMAIN, std::string(kZapDomain));
  }
  if (!endpoint.is_ipc) return {};
  for (const uid_t user : {::geteuid(), kRoot}) KILN_TRY(socket.set_bytes(ZMQ_IPC_FILTER_UID, &user, sizeof user));
  return {};
}

Error bind_error(const Endpoint& endpoint) {
  const int error = errno;
  if (error == EADDRINUSE && !endpoint.is_ipc) {
    return make_error(ErrorCode::kUnavailable, ExitCode::kTryAgain,
                      "port {} of {} is in use, maybe by another coordinator (see 'ss -ltnp sport = :{}'): stop it, "
                      "or take another port",
                      endpoint.port, endpoint.host, endpoint.port);
  }
  if (error == EADDRINUSE) {
    return make_error(ErrorCode::kUnavailable, ExitCode::kTryAgain, "{} is in use by another program", endpoint.text);
  }
  if (error == EADDRNOTAVAIL || error == ENODEV) {
    return make_error(ErrorCode::kInvalidArgument, "{}: this machine has no such address", endpoint.text);
  }
  return errno_error(error, endpoint.text);
}

}  // namespace

struct RouterSocket::Impl {
  ZmqSocket socket;
  SocketMonitor monitor;
  std::shared_ptr<const KeyCheck> check;
  bool keyed = false;
  std::string endpoint;
  SocketStats stats;

  void read_monitor() {
    while (const auto event = monitor.next()) count_event(*event, stats);
  }

  // Who may be heard; nullopt: counted.
  std::optional<AuthenticatedPeer> check_peer(const ZmqMessage& message) {
    if (!keyed) return AuthenticatedPeer{true, PeerRole::kClient, {}};
    if (!check->running()) {
      ++stats.dropped_check_down;
      return std::nullopt;
    }
    if (message.user_id.empty() || message.seal != check->seal()) {
      ++stats.dropped_unchecked;
      return std::nullopt;
    }
    const auto peer = check->find(message.key);
    if (!peer) {
      ++stats.dropped_not_allowed;
      return std::nullopt;
    }
    return AuthenticatedPeer{false, peer->role, peer->name};
  }

  bool is_well_formed(const ZmqMessage& message) {
    if (message.part_count != kPartsKept) {
      ++stats.dropped_malformed;
    } else if (message.too_large) {
      ++stats.dropped_too_large;
    } else if (!is_own_identity(message.parts[0])) {
      ++stats.dropped_chosen_identity;
    } else {
      return true;
    }
    return false;
  }

  std::optional<Received> receive() {
    read_monitor();
    for (int i = 0; i < kDropsPerReceiveMax; ++i) {
      auto message = receive_message(socket.get());
      if (!message) return std::nullopt;
      if (!is_well_formed(*message)) continue;
      const auto peer = check_peer(*message);
      if (!peer) continue;
      ++stats.received_messages;
      stats.received_bytes += message->parts[1].size();
      // With the key, so that send() can tell whether it is still allowed.
      std::string identity = message->parts[0];
      if (keyed) identity += message->key;
      return Received{std::move(identity), *peer, std::move(message->address), std::move(message->parts[1])};
    }
    ++stats.receives_cut;
    return std::nullopt;
  }

  Status send(std::string_view identity, std::string_view bytes) {
    if (bytes.size() > kSocketMessageBytesMax) {
      ++stats.refused_too_large;
      return fail(make_error(ErrorCode::kInvalidArgument, "a message of {} bytes; at most {}", bytes.size(),
                             kSocketMessageBytesMax));
    }
    const std::string_view connection = identity.substr(0, kOwnIdentityBytes);
    if (!is_own_identity(connection) ||
        (keyed && !check->find(identity.substr(kOwnIdentityBytes)))) {
      ++stats.refused_peer_gone;
      return fail(make_error(ErrorCode::kUnavailable, "the peer is not allowed any more"));
    }
    switch (send_message(socket, connection, bytes)) {
      case SendResult::kSent:
        ++stats.sent_messages;
        stats.sent_bytes += bytes.size();
        return {};
      case SendResult::kQueueFull:
        ++stats.refused_queue_full;
        return fail(make_error(ErrorCode::kResourceExhausted, "the peer does not read: {} messages wait for it",
                               kRouterQueueMax));
      case SendResult::kNoPeer:
        ++stats.refused_peer_gone;
        return fail(make_error(ErrorCode::kUnavailable, "the peer is gone"));
      case SendResult::kFailed:
        break;
    }
    return fail(zmq_error("send"));
  }
};

RouterSocket::RouterSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RouterSocket::RouterSocket(RouterSocket&&) noexcept = default;
RouterSocket& RouterSocket::operator=(RouterSocket&&) noexcept = default;
RouterSocket::~RouterSocket() = default;

Result<RouterSocket> RouterSocket::bind(ZmqContext& context, std::string_view endpoint,
                                        const SocketSecurity& security) {
  KILN_TRY_ASSIGN(const Endpoint where, parse_endpoint(endpoint, EndpointUse::kBind));
  KILN_TRY(check_door(where, security, *context.key_check()));
  KILN_TRY_ASSIGN(ZmqSocket socket, ZmqSocket::open(context, ZMQ_ROUTER));
  KILN_TRY(set_router_options(socket, where, security));
  KILN_TRY_ASSIGN(SocketMonitor monitor, SocketMonitor::start(context, socket));
  if (::zmq_bind(socket.get(), where.text.c_str()) != 0) return fail(bind_error(where));
  const bool has_file = where.is_ipc && !where.path.starts_with('@');
  if (has_file && !security.own && ::chmod(where.path.c_str(), kIpcMode) != 0) {
    return fail(errno_error(errno, where.path));
  }
  std::string bound = socket.last_endpoint();
  return RouterSocket(std::make_unique<Impl>(Impl{std::move(socket), std::move(monitor), context.key_check(),
                                                  security.own.has_value(), std::move(bound), {}}));
}

const std::string& RouterSocket::endpoint() const { return impl_->endpoint; }
int RouterSocket::fd() const { return impl_->socket.fd(); }
bool RouterSocket::pending() const { return (impl_->socket.events() & ZMQ_POLLIN) != 0; }
std::optional<Received> RouterSocket::receive() { return impl_->receive(); }
Status RouterSocket::send(std::string_view identity, std::string_view bytes) { return impl_->send(identity, bytes); }
const SocketStats& RouterSocket::stats() const { return impl_->stats; }

}  // namespace kiln::net
