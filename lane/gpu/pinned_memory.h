// Host memory that a card copies from and to by itself.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"

namespace kiln::lane {

class CudaDriver;

// Pages of the system's own, made known to the driver, and not memory that the driver makes: only such can be lent to a pipe.
class PinnedMemory {
 public:
  // kResourceExhausted: the system has no room, or lets this process pin no more. The thread has the card's context.
  [[nodiscard]] static Result<std::unique_ptr<PinnedMemory>> make(std::size_t bytes);
  ~PinnedMemory();  // nothing is copying any more
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  PinnedMemory() = default;

  std::shared_ptr<const CudaDriver> driver_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool registered_ = false;
};

}  // namespace kiln::lane
