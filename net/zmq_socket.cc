#include "net/zmq_socket.h"

#include <zmq.h>

#include <cerrno>
#include <utility>

namespace kiln::net {
namespace {

// An encrypted message: "\7MESSAGE", nonce, authenticator, flags.
constexpr std::int64_t kCurveOverheadBytes = 8 + 8 + 16 + 1;
constexpr std::size_t kEndpointCharsMax = 256;

struct Part {
  zmq_msg_t message{};
  Part() { ::zmq_msg_init(&message); }
  ~Part() { ::zmq_msg_close(&message); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
};

std::string property_of(zmq_msg_t& message, const char* name) {
  const char* value = ::zmq_msg_gets(&message, name);
  return value == nullptr ? std::string() : std::string(value);
}

void read_properties(zmq_msg_t& part, ZmqMessage& message) {
  message.user_id = property_of(part, "User-Id");
  message.seal = property_of(part, kSealProperty);
  message.key = property_of(part, kKeyProperty);
  message.address = property_of(part, "Peer-Address");
}

void keep_part(zmq_msg_t& part, ZmqMessage& message) {
  const std::size_t at = message.part_count++;
  const std::size_t size = ::zmq_msg_size(&part);
  message.too_large = message.too_large || size > kSocketMessageBytesMax;
  if (at >= kPartsKept || message.too_large) return;
  message.parts[at].assign(static_cast<const char*>(::zmq_msg_data(&part)), size);
}

}  // namespace

ZmqSocket::ZmqSocket(ZmqContext& context, void* handle) : context_(&context), handle_(handle) {
  context_->count_socket(1);
}

ZmqSocket::ZmqSocket(ZmqSocket&& other) noexcept
    : context_(other.context_), handle_(std::exchange(other.handle_, nullptr)) {}

ZmqSocket& ZmqSocket::operator=(ZmqSocket&& other) noexcept {
  if (this != &other) {
    close();
    context_ = other.context_;
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

ZmqSocket::~ZmqSocket() { close(); }

void ZmqSocket::close() {
  if (handle_ == nullptr) return;
  ::zmq_close(handle_);
  handle_ = nullptr;
  context_->count_socket(-1);
}

Result<ZmqSocket> ZmqSocket::open(ZmqContext& context, int type) {
  void* handle = ::zmq_socket(context.native(), type);
  if (handle == nullptr) return fail(zmq_error("zmq_socket"));
  return ZmqSocket(context, handle);
}

Status ZmqSocket::set_bytes(int option, const void* data, std::size_t size) {
  if (::zmq_setsockopt(handle_, option, data, size) != 0) {
    return fail(zmq_error(fmt::format("zmq_setsockopt {}", option)));
  }
  return {};
}

Status ZmqSocket::set(int option, int value) { return set_bytes(option, &value, sizeof value); }

Status ZmqSocket::set(int option, std::chrono::milliseconds value) {
  return set(option, static_cast<int>(value.count()));
}

Status ZmqSocket::set(int option, const std::string& text) { return set_bytes(option, text.data(), text.size()); }

int ZmqSocket::fd() const {
  int fd = -1;
  std::size_t size = sizeof fd;
  return ::zmq_getsockopt(handle_, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

int ZmqSocket::events() const {
  int events = 0;
  std::size_t size = sizeof events;
  return ::zmq_getsockopt(handle_, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

std::string ZmqSocket::last_endpoint() const {
  std::array<char, kEndpointCharsMax> text{};
  std::size_t size = text.size();
  return ::zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, text.data(), &size) == 0 ? text.data() : std::string();
}

Error zmq_error(std::string_view what) {
  return make_error(ErrorCode::kInternal, "{}: {}", what, ::zmq_strerror(errno));
}

Status set_farm_options(ZmqSocket& socket, const Endpoint& endpoint, int queue_max) {
  const auto message_bytes_max = static_cast<std::int64_t>(kSocketMessageBytesMax) + kCurveOverheadBytes;
  KILN_TRY(socket.set_bytes(ZMQ_MAXMSGSIZE, &message_bytes_max, sizeof message_bytes_max));
  KILN_TRY(socket.set(ZMQ_SNDHWM, queue_max));
  KILN_TRY(socket.set(ZMQ_RCVHWM, queue_max));
  KILN_TRY(socket.set(ZMQ_BACKLOG, kBacklogMax));
  KILN_TRY(socket.set(ZMQ_LINGER, kLinger));
  KILN_TRY(socket.set(ZMQ_HANDSHAKE_IVL, kHandshakeTimeout));
  KILN_TRY(socket.set(ZMQ_HEARTBEAT_IVL, kHeartbeatInterval));
  KILN_TRY(socket.set(ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatTimeout));
  KILN_TRY(socket.set(ZMQ_HEARTBEAT_TTL, kHeartbeatTimeout));
  KILN_TRY(socket.set(ZMQ_RECONNECT_IVL, kReconnectFirst));
  KILN_TRY(socket.set(ZMQ_RECONNECT_IVL_MAX, kReconnectMost));
  return socket.set(ZMQ_IPV6, endpoint.is_ipv6 ? 1 : 0);
}

std::optional<ZmqMessage> receive_message(void* socket) {
  ZmqMessage message;
  for (bool more = true; more;) {
    Part part;
    int received = -1;
    do {
      received = ::zmq_msg_recv(&part.message, socket, ZMQ_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return std::nullopt;  // before the first part only: a message comes whole
    more = ::zmq_msg_more(&part.message) != 0;
    keep_part(part.message, message);
    if (!more) read_properties(part.message, message);
  }
  return message;
}

SendResult send_message(const ZmqSocket& socket, std::string_view first, std::string_view bytes) {
  // When it sends, libzmq looks at its news (a connection came or went, a queue was emptied) only now and then, and
  // could choose a connection that is gone. Asking for events makes it look.
  static_cast<void>(socket.events());
  if (!first.empty() && ::zmq_send(socket.get(), first.data(), first.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
    if (errno == EAGAIN) return SendResult::kQueueFull;
    return errno == EHOSTUNREACH ? SendResult::kNoPeer : SendResult::kFailed;
  }
  if (::zmq_send(socket.get(), bytes.data(), bytes.size(), ZMQ_DONTWAIT) >= 0) return SendResult::kSent;
  return errno == EAGAIN ? SendResult::kQueueFull : SendResult::kFailed;
}

}  // namespace kiln::net
