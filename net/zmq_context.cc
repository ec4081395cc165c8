#include "net/zmq_context.h"

#include <fmt/core.h>
#include <zmq.h>

#include <cerrno>

#include "base/check.h"

namespace kiln::net {

ZmqContext::ZmqContext() : native_(::zmq_ctx_new()), key_check_(std::make_shared<KeyCheck>()) {
  KILN_CHECK(native_ != nullptr, "zmq_ctx_new: {}", ::zmq_strerror(errno));
}

ZmqContext::~ZmqContext() {
  KILN_CHECK(sockets_ == 0, "{} sockets outlive their context", sockets_.load());
  // Waits for messages that are still to be sent, at most for the linger time of their socket.
  while (::zmq_ctx_term(native_) != 0 && errno == EINTR) {
  }
}

std::string ZmqContext::unique_inproc_name() { return fmt::format("inproc://kiln.{}", ++names_); }

}  // namespace kiln::net
