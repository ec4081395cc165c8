// What moving weights onto a card needs of the card. Tests move them into plain memory instead.
#pragma once

#include <cstddef>

#include "base/result.h"

struct CUstream_st;

namespace kiln::lane {

// Chunks on their way at the same time, in each order.
inline constexpr std::size_t kTransferSlots = 8;

// Two orders of work, beside each other. One thread calls.
enum class TransferOrder { kCopies, kBroadcasts };

class TransferDevice {
 public:
  virtual ~TransferDevice() = default;
  // Before targets are written: the card becomes the calling thread's, and whoever used their memory before is done with it.
  [[nodiscard]] virtual Status enter() = 0;
  // Host memory that copies come out of; stays until more is asked for. Kept as long as the device.
  [[nodiscard]] virtual Result<std::byte*> staging(std::size_t bytes) = 0;
  [[nodiscard]] virtual Status copy(std::byte* to, const std::byte* staged, std::size_t bytes) = 0;
  [[nodiscard]] virtual CUstream_st* broadcasts() = 0;
  // A mark behind all that is in the order by now. `slot` < kTransferSlots; used again once it was reached.
  [[nodiscard]] virtual Status mark(TransferOrder order, std::size_t slot) = 0;
  // Does not wait: a broadcast whose peer is gone is never done.
  [[nodiscard]] virtual Result<bool> is_reached(TransferOrder order, std::size_t slot) = 0;
};

}  // namespace kiln::lane
