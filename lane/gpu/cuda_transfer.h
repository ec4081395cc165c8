// The card's side of moving weights: two streams, their events, and pinned memory.
#pragma once

#include <memory>

#include "lane/gpu/transfer_device.h"

namespace kiln::lane {

// `card`: N of "cuda:N". All in the card's primary context, which is LibTorch's.
[[nodiscard]] Result<std::unique_ptr<TransferDevice>> open_cuda_transfer(int card);

}  // namespace kiln::lane
