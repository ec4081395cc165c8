#include "net/dealer_socket.h"

#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/socket_monitor.h"
#include "net/zmq_endpoint.h"
#include "net/zmq_socket.h"

namespace kiln::net {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

Status check_security(const Endpoint& endpoint, const SocketSecurity& security) {
  if (!security.own && !security.server_public_z85.empty()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "the coordinator's key is given, but no key of one's own"));
  }
  if (!security.own && !stays_on_this_machine(endpoint)) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kBadConfig,
                           "{} is on another machine, which takes keys: one of your own (made with 'kiln keygen') and "
                           "the coordinator's public key",
                           endpoint.text));
  }
  if (security.own && !is_z85_key(security.server_public_z85)) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "'{}' is no public key (40 characters of Z85); the coordinator's is needed",
                           security.server_public_z85));
  }
  return {};
}

Status set_dealer_options(ZmqSocket& socket, const Endpoint& endpoint, const SocketSecurity& security) {
  KILN_TRY(set_farm_options(socket, endpoint, kDealerQueueMax));
  // Nothing is queued for a connection that is not there.
  KILN_TRY(socket.set(ZMQ_IMMEDIATE, 1));
  if (!security.own) return {};
  KILN_TRY(socket.set(ZMQ_CURVE_SERVERKEY, security.server_public_z85));
  KILN_TRY(socket.set(ZMQ_CURVE_PUBLICKEY, security.own->public_z85));
  return socket.set(ZMQ_CURVE_SECRETKEY, security.own->secret_z85);
}

milliseconds until_ms(Clock::time_point time) {
  return std::max(std::chrono::ceil<milliseconds>(time - Clock::now()), milliseconds(0));
}

}  // namespace

struct DealerSocket::Impl {
  ZmqSocket socket;
  SocketMonitor monitor;
  std::string endpoint;
  std::string own_public;  // empty: without keys
  Connection connection;
  SocketStats stats;
  // libzmq connects again by itself after a lost connection, but never after one that was refused or that broke the
  // protocol, and says so only by not announcing another try.
  std::optional<Clock::time_point> given_up_at;
  milliseconds retry_delay = kRefusedRetryFirst;

  void set_state(ConnectionState state, std::string reason) {
    connection.state = state;
    connection.reason = std::move(reason);
  }

  [[nodiscard]] std::string auth_reason() const {
    return fmt::format("this key is not on the coordinator's allow-list: {}", own_public);
  }

  [[nodiscard]] std::string protocol_reason(std::uint32_t value) const {
    if (value != ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) {
      return fmt::format("what answers at {} does not follow the protocol", endpoint);
    }
    return own_public.empty() ? fmt::format("the coordinator at {} asks for a key", endpoint)
                              : fmt::format("the coordinator at {} uses no keys, and is not trusted", endpoint);
  }

  [[nodiscard]] std::string closed_reason() const {
    if (own_public.empty()) return fmt::format("{} closed the connection before it was made", endpoint);
    return fmt::format("{} closed the connection before it was made: maybe its public key is another than the one "
                       "given",
                       endpoint);
  }

  void apply(const SocketEvent& event) {
    switch (event.event) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        ++connection.made;
        retry_delay = kRefusedRetryFirst;
        given_up_at.reset();
        set_state(ConnectionState::kConnected, {});
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        set_state(ConnectionState::kRefused, auth_reason());
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        set_state(ConnectionState::kRefused, protocol_reason(event.value));
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        set_state(ConnectionState::kNotConnected, closed_reason());
        break;
      case ZMQ_EVENT_DISCONNECTED:
        given_up_at = Clock::now();
        if (connection.state == ConnectionState::kConnected) {
          set_state(ConnectionState::kNotConnected, fmt::format("the connection to {} was lost", endpoint));
        }
        break;
      case ZMQ_EVENT_CONNECT_DELAYED:
      case ZMQ_EVENT_CONNECT_RETRIED:
        given_up_at.reset();
        break;
      default:
        break;
    }
  }

  void connect_again() {
    given_up_at.reset();
    ::zmq_disconnect(socket.get(), endpoint.c_str());  // may be gone already
    if (::zmq_connect(socket.get(), endpoint.c_str()) != 0) given_up_at = Clock::now();
  }

  void update() {
    while (const auto event = monitor.next()) {
      count_event(*event, stats);
      apply(*event);
    }
    if (given_up_at && Clock::now() - *given_up_at >= retry_delay) {
      retry_delay = std::min(retry_delay * 2, kRefusedRetryMost);
      connect_again();
    }
  }

  [[nodiscard]] bool pending() const { return (socket.events() & ZMQ_POLLIN) != 0; }

  std::optional<std::string> receive() {
    update();
    for (int i = 0; i < kDropsPerReceiveMax; ++i) {
      auto message = receive_message(socket.get());
      if (!message) return std::nullopt;
      if (message->part_count != 1) {
        ++stats.dropped_malformed;
      } else if (message->too_large) {
        ++stats.dropped_too_large;
      } else {
        ++stats.received_messages;
        stats.received_bytes += message->parts[0].size();
        return std::move(message->parts[0]);
      }
    }
    ++stats.receives_cut;
    return std::nullopt;
  }

  Status send(std::string_view bytes) {
    if (bytes.size() > kSocketMessageBytesMax) {
      ++stats.refused_too_large;
      return fail(make_error(ErrorCode::kInvalidArgument, "a message of {} bytes; at most {}", bytes.size(),
                             kSocketMessageBytesMax));
    }
    update();
    if (connection.state != ConnectionState::kConnected) {
      ++stats.refused_peer_gone;
      return fail(make_error(ErrorCode::kUnavailable, "{}", not_connected_reason()));
    }
    switch (send_message(socket, {}, bytes)) {
      case SendResult::kSent:
        ++stats.sent_messages;
        stats.sent_bytes += bytes.size();
        return {};
      case SendResult::kQueueFull:
        ++stats.refused_queue_full;
        return fail(make_error(ErrorCode::kResourceExhausted, "the coordinator does not read: {} messages wait for it",
                               kDealerQueueMax));
      case SendResult::kNoPeer:
      case SendResult::kFailed:
        break;
    }
    return fail(zmq_error("send"));
  }

  [[nodiscard]] std::string not_connected_reason() const {
    return connection.reason.empty() ? fmt::format("no coordinator answers at {}", endpoint) : connection.reason;
  }

  bool wait(milliseconds deadline) {
    const auto until = Clock::now() + deadline;
    const ConnectionState state = connection.state;
    const std::uint64_t made = connection.made;
    while (true) {
      update();
      if (pending() || connection.state != state || connection.made != made) return true;
      milliseconds left = until_ms(until);
      if (left.count() == 0) return false;
      if (given_up_at) left = std::min(left, until_ms(*given_up_at + retry_delay));
      std::array<zmq_pollitem_t, 2> items{
          {{socket.get(), 0, ZMQ_POLLIN, 0}, {monitor.socket().get(), 0, ZMQ_POLLIN, 0}}};
      ::zmq_poll(items.data(), static_cast<int>(items.size()), left.count());
    }
  }

  Status wait_connected(milliseconds deadline) {
    const auto until = Clock::now() + deadline;
    while (true) {
      update();
      if (connection.state == ConnectionState::kConnected) return {};
      if (connection.state == ConnectionState::kRefused) {
        return fail(make_error(ErrorCode::kUnauthenticated, "{}", connection.reason));
      }
      if (until_ms(until).count() == 0) return fail(make_error(ErrorCode::kUnavailable, "{}", not_connected_reason()));
      static_cast<void>(wait(until_ms(until)));
    }
  }
};

DealerSocket::DealerSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DealerSocket::DealerSocket(DealerSocket&&) noexcept = default;
DealerSocket& DealerSocket::operator=(DealerSocket&&) noexcept = default;
DealerSocket::~DealerSocket() = default;

Result<DealerSocket> DealerSocket::connect(ZmqContext& context, std::string_view endpoint,
                                           const SocketSecurity& security) {
  KILN_TRY_ASSIGN(const Endpoint where, parse_endpoint(endpoint, EndpointUse::kConnect));
  KILN_TRY(check_security(where, security));
  KILN_TRY_ASSIGN(ZmqSocket socket, ZmqSocket::open(context, ZMQ_DEALER));
  KILN_TRY(set_dealer_options(socket, where, security));
  KILN_TRY_ASSIGN(SocketMonitor monitor, SocketMonitor::start(context, socket));
  if (::zmq_connect(socket.get(), where.text.c_str()) != 0) return fail(errno_error(errno, where.text));
  std::string own_public = security.own ? security.own->public_z85 : std::string();
  return DealerSocket(std::make_unique<Impl>(
      Impl{std::move(socket), std::move(monitor), where.text, std::move(own_public), {}, {}, {}, kRefusedRetryFirst}));
}

int DealerSocket::fd() const { return impl_->socket.fd(); }
int DealerSocket::monitor_fd() const { return impl_->monitor.socket().fd(); }
bool DealerSocket::pending() const { return impl_->pending(); }
std::optional<std::string> DealerSocket::receive() { return impl_->receive(); }
Status DealerSocket::send(std::string_view bytes) { return impl_->send(bytes); }
const Connection& DealerSocket::connection() {
  impl_->update();
  return impl_->connection;
}
void DealerSocket::reconnect() {
  impl_->set_state(ConnectionState::kNotConnected, fmt::format("connecting to {} again", impl_->endpoint));
  impl_->connect_again();
}
bool DealerSocket::wait(std::chrono::milliseconds deadline) { return impl_->wait(deadline); }
Status DealerSocket::wait_connected(std::chrono::milliseconds deadline) { return impl_->wait_connected(deadline); }
const SocketStats& DealerSocket::stats() const { return impl_->stats; }

}  // namespace kiln::net
