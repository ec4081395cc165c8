// The allow-list in force and whether it is being enforced: what the keyed sockets of one context and their ZAP
// thread share. Any thread may call it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "net/allow_list.h"

namespace kiln::net {

class KeyCheck {
 public:
  KeyCheck();

  void set_allow_list(AllowList list);
  [[nodiscard]] std::shared_ptr<const AllowList> allow_list() const;
  // Whom the list has for a key, now; nullopt also while nobody enforces the list.
  [[nodiscard]] std::optional<AllowedPeer> find(std::string_view public_key) const;

  void set_running(bool running) { running_ = running; }
  [[nodiscard]] bool running() const { return running_; }

  // A secret of this process that the ZAP thread puts on every connection it lets in. A connection that came in
  // while no such thread ran has none, and may carry a User-Id of its own invention: libzmq hands on what the
  // peer's handshake claims.
  [[nodiscard]] const std::string& seal() const { return seal_; }

 private:
  std::atomic<bool> running_ = false;
  mutable std::mutex mutex_;
  std::shared_ptr<const AllowList> list_;
  std::string seal_;
};

}  // namespace kiln::net
