// One ZeroMQ context: its input/output thread, and the key check that its keyed sockets share. Make one for a
// program. Sockets and the ZAP server are borrowed from it and end before it does (checked).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "net/key_check.h"

namespace kiln::net {

class ZmqContext {
 public:
  ZmqContext();  // starts no thread; the first socket does
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;

  [[nodiscard]] const std::shared_ptr<KeyCheck>& key_check() const { return key_check_; }

  // For the classes of this folder.
  [[nodiscard]] void* native() const { return native_; }
  void count_socket(int change) { sockets_ += change; }
  [[nodiscard]] std::string unique_inproc_name();

 private:
  void* native_ = nullptr;
  std::shared_ptr<KeyCheck> key_check_;
  std::atomic<int> sockets_ = 0;
  std::atomic<std::uint64_t> names_ = 0;
};

}  // namespace kiln::net
