// Constant tables in the memory of a card.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"

namespace kiln::lane {

class CudaDriver;

// Memory of the driver's own, not of LibTorch's allocator; given back when the last owner goes.
class DeviceMemory {
 public:
  // Copies `bytes` into the current context's card, and waits for that.
  [[nodiscard]] static Result<std::shared_ptr<const DeviceMemory>> copy_of(std::span<const std::byte> bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  [[nodiscard]] unsigned long long address() const { return address_; }

 private:
  DeviceMemory() = default;

  std::shared_ptr<const CudaDriver> driver_;
  unsigned long long address_ = 0;
};

}  // namespace kiln::lane
