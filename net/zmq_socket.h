// Inside this folder: one libzmq socket as an owned handle, and messages as they come from it. Options are
// libzmq's numbers, so that zmq.h stays in .cc files.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/socket_types.h"
#include "net/zmq_context.h"
#include "net/zmq_endpoint.h"

namespace kiln::net {

// Move-only owner. One thread at a time.
class ZmqSocket {
 public:
  [[nodiscard]] static Result<ZmqSocket> open(ZmqContext& context, int type);
  ZmqSocket(ZmqSocket&& other) noexcept;
  ZmqSocket& operator=(ZmqSocket&& other) noexcept;
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;
  ~ZmqSocket();

  [[nodiscard]] void* get() const { return handle_; }
  [[nodiscard]] Status set(int option, int value);
  [[nodiscard]] Status set(int option, std::chrono::milliseconds value);
  [[nodiscard]] Status set(int option, const std::string& text);
  [[nodiscard]] Status set_bytes(int option, const void* data, std::size_t size);
  [[nodiscard]] int fd() const;
  [[nodiscard]] int events() const;  // ZMQ_POLLIN | ZMQ_POLLOUT; also lets the socket do its own work
  [[nodiscard]] std::string last_endpoint() const;

 private:
  ZmqSocket(ZmqContext& context, void* handle);
  void close();
  ZmqContext* context_ = nullptr;  // outlives the socket, which it counts
  void* handle_ = nullptr;
};

[[nodiscard]] Error zmq_error(std::string_view what);  // of errno

// Bounds, time limits and IPv6 of both kinds of socket.
[[nodiscard]] Status set_farm_options(ZmqSocket& socket, const Endpoint& endpoint, int queue_max);

inline constexpr std::size_t kPartsKept = 2;
inline constexpr std::string_view kZapDomain = "kiln";
inline constexpr const char* kSealProperty = "X-Kiln-Seal";  // KeyCheck::seal(), put there by ZapServer
inline constexpr const char* kKeyProperty = "X-Kiln-Key";    // the peer's public key, likewise

// One message. Parts beyond kPartsKept, and parts that are too large, are read and forgotten.
struct ZmqMessage {
  std::array<std::string, kPartsKept> parts;
  std::size_t part_count = 0;
  bool too_large = false;
  // Properties of the connection; empty where it has none.
  std::string user_id;
  std::string seal;
  std::string key;
  std::string address;
};

// Does not wait; nullopt: there is none.
[[nodiscard]] std::optional<ZmqMessage> receive_message(void* socket);

enum class SendResult { kSent, kQueueFull, kNoPeer, kFailed };
// Does not wait. `first` is sent as a part of its own when it is not empty.
[[nodiscard]] SendResult send_message(const ZmqSocket& socket, std::string_view first, std::string_view bytes);

}  // namespace kiln::net
