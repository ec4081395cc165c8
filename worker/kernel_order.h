// What a lane asked for of its own kernels, held against bounds, with the key that they have in the store.
#pragma once

#include "base/result.h"
#include "net/from_lane_messages.h"
#include "sharding/compile_key.h"
#include "worker/compile_child.h"

namespace kiln::worker {

inline constexpr std::size_t kKernelSourceBytesMax = 1U << 20U;
inline constexpr std::size_t kKernelOptionsMax = 16;
inline constexpr std::size_t kKernelOptionBytesMax = 64;

struct KernelOrder {
  KernelRequest request;
  sharding::CompileKey key;
};

// The key says which source it answers: whatever a lane asks for, no other lane gets anything that it did not ask for
// itself. kInvalidArgument for what no lane of ours asks.
[[nodiscard]] Result<KernelOrder> kernel_order(const net::KernelsWanted& wanted, const sharding::Toolchain& toolchain);

}  // namespace kiln::worker
