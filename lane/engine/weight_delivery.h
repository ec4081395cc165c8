// Brings the bytes of weights onto a network's device, where there is a better way than to copy tensor by tensor.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"

namespace kiln::lane {

class WeightDelivery {
 public:
  struct Target {
    std::byte* device = nullptr;
    std::span<const std::byte> host;  // what is to be there, in this host's copy
  };
  virtual ~WeightDelivery() = default;
  // Returns when all targets have their bytes.
  [[nodiscard]] virtual Status deliver(std::span<const Target> targets) = 0;
};

}  // namespace kiln::lane
