#include "net/socket_monitor.h"

#include <zmq.h>

#include <cstring>
#include <utility>

namespace kiln::net {
namespace {

constexpr int kWatched = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                         ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                         ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_CONNECT_DELAYED;

}  // namespace

Result<SocketMonitor> SocketMonitor::start(ZmqContext& context, const ZmqSocket& watched) {
  const std::string name = context.unique_inproc_name();
  KILN_TRY_ASSIGN(ZmqSocket events, ZmqSocket::open(context, ZMQ_PAIR));
  KILN_TRY(events.set(ZMQ_RCVHWM, 0));
  KILN_TRY(events.set(ZMQ_LINGER, 0));
  if (::zmq_socket_monitor(watched.get(), name.c_str(), kWatched) != 0) return fail(zmq_error("zmq_socket_monitor"));
  SocketMonitor monitor(std::move(events), watched.get());
  if (::zmq_connect(monitor.events_.get(), name.c_str()) != 0) return fail(zmq_error(name));
  return monitor;
}

SocketMonitor::SocketMonitor(SocketMonitor&& other) noexcept
    : events_(std::move(other.events_)), watched_(std::exchange(other.watched_, nullptr)) {}

// The writing end goes first: libzmq would wait for ever for a reader that is gone.
SocketMonitor::~SocketMonitor() {
  if (watched_ != nullptr) ::zmq_socket_monitor(watched_, nullptr, 0);
}

std::optional<SocketEvent> SocketMonitor::next() {
  const auto message = receive_message(events_.get());
  constexpr std::size_t kEventBytes = sizeof(std::uint16_t) + sizeof(std::uint32_t);
  if (!message || message->parts[0].size() != kEventBytes) return std::nullopt;
  SocketEvent event;
  std::memcpy(&event.event, message->parts[0].data(), sizeof event.event);
  std::memcpy(&event.value, message->parts[0].data() + sizeof event.event, sizeof event.value);
  return event;
}

void count_event(const SocketEvent& event, SocketStats& stats) {
  switch (event.event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      ++stats.connections;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      ++stats.handshakes_failed;
      break;
    case ZMQ_EVENT_DISCONNECTED:
      ++stats.disconnects;
      break;
    default:
      break;
  }
}

}  // namespace kiln::net
