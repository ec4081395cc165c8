// The lane's side of the socket to its worker; threads of the lane send through it.
#pragma once

#include <mutex>

#include "net/lane_messages.h"
#include "net/local_channel.h"

namespace kiln::lane {

class Outbox {
 public:
  explicit Outbox(net::LocalChannel& channel) : channel_(channel) {}
  // A worker that is gone, or reads nothing for the deadline, ends the lane: nobody would take its results.
  void send(const net::FromLane& message);

 private:
  std::mutex mutex_;
  net::LocalChannel& channel_;
};

}  // namespace kiln::lane
