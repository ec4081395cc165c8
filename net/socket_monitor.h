// Inside this folder: what happens to the connections of one socket, as events. They come through a queue of
// their own, which must be emptied now and then: it has no bound, since a full one would stop libzmq.
#pragma once

#include <cstdint>
#include <optional>

#include "net/zmq_socket.h"

namespace kiln::net {

struct SocketEvent {
  std::uint16_t event = 0;  // ZMQ_EVENT_…
  std::uint32_t value = 0;
};

// Declared after the socket that it watches, so that it ends before that.
class SocketMonitor {
 public:
  // Before the socket binds or connects, so that nothing is missed.
  [[nodiscard]] static Result<SocketMonitor> start(ZmqContext& context, const ZmqSocket& watched);
  SocketMonitor(SocketMonitor&& other) noexcept;
  SocketMonitor& operator=(SocketMonitor&&) = delete;
  ~SocketMonitor();

  [[nodiscard]] std::optional<SocketEvent> next();  // does not wait
  [[nodiscard]] const ZmqSocket& socket() const { return events_; }

 private:
  SocketMonitor(ZmqSocket events, void* watched) : events_(std::move(events)), watched_(watched) {}
  ZmqSocket events_;
  void* watched_ = nullptr;
};

// Adds what an event says to the counters of connections.
void count_event(const SocketEvent& event, SocketStats& stats);

}  // namespace kiln::net
