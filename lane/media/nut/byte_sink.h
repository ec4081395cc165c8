// Writes bytes to a descriptor whose reader may be slow or gone, ended by a CancelSignal.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "lane/media/cancel_signal.h"

namespace kiln::lane::nut {

class ByteSink {
 public:
  // Both borrowed; `cancel` may be null. A pipe or socket is set non-blocking: a wait must hear cancel().
  ByteSink(int fd, const CancelSignal* cancel);

  // kUnavailable when the reader is gone (no signal is raised), kCancelled after cancel().
  [[nodiscard]] Status write(std::span<const std::byte> bytes) const;

 private:
  int fd_;
  const CancelSignal* cancel_;
};

}  // namespace kiln::lane::nut
