#include "lane/outbox.h"

#include <unistd.h>

#include "base/log.h"
#include "net/lane_codec.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::seconds kSendDeadline{60};

}  // namespace

void Outbox::send(const net::FromLane& message) {
  const std::string bytes = net::encode(message);
  const std::lock_guard lock(mutex_);
  if (const Status status = channel_.send(bytes, {}, kSendDeadline); !status) {
    log::error("the worker is gone: {}", status.error().message);
    ::_exit(static_cast<int>(ExitCode::kUnreachable));
  }
}

}  // namespace kiln::lane
