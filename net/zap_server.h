// The thread that libzmq asks about every key (ZAP). Start it before a keyed socket is bound: libzmq lets every
// key in while there is no such thread. RouterSocket::bind() checks that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/allow_list.h"
#include "net/zmq_context.h"

namespace kiln::net {

inline constexpr std::size_t kDeniedKeysNamedMax = 64;  // keys that get a line in the log; more are only counted

struct ZapStats {
  std::uint64_t accepted = 0;
  std::uint64_t denied = 0;
  std::uint64_t unnamed = 0;  // of these, by keys beyond kDeniedKeysNamedMax, which no line in the log names
  std::uint64_t malformed = 0;
};

// One for a context. While it does not run, for whatever reason, the keyed sockets of the context hand out no
// message and send none. Any thread may call its functions.
class ZapServer {
 public:
  // Returns when questions are answered. kAlreadyExists: the context has one.
  [[nodiscard]] static Result<ZapServer> start(ZmqContext& context, AllowList list);
  ZapServer(ZapServer&&) noexcept;
  ZapServer& operator=(ZapServer&&) = delete;
  ~ZapServer();  // stops it

  // Takes effect with the next message, also on connections that are there: a key that is gone is not heard any
  // more, and one that has another name or role now speaks as that.
  void set_allow_list(AllowList list);
  [[nodiscard]] std::shared_ptr<const AllowList> allow_list() const;
  [[nodiscard]] bool ready() const;  // false when the thread has ended
  [[nodiscard]] ZapStats stats() const;
  void stop();

 private:
  struct Impl;
  explicit ZapServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::net
