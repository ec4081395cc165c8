// The lane's card as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "lane/gpu/kernel_supply.h"
#include "lane/gpu/transfer_device.h"

namespace kiln::lane {

// Our kernels on `device` ("cuda:N"). Sets the card up where nobody did before: takes a second or two.
[[nodiscard]] Result<std::shared_ptr<const KernelModule>> load_kernels_on(const std::string& device, KernelSupply& supply);

// Memory of the card, as LibTorch's allocator has it and as the driver sees it.
struct CardUse {
  std::uint64_t allocated_peak_bytes = 0;  // since the process began
  std::uint64_t reserved_peak_bytes = 0;
  std::uint64_t reserved_bytes = 0;        // now
  std::uint64_t free_bytes = 0;            // of the whole card, now
  std::uint64_t all_bytes = 0;
};
[[nodiscard]] Result<CardUse> card_use(const std::string& device);

// For weights onto `device`.
[[nodiscard]] Result<std::unique_ptr<TransferDevice>> open_transfer(const std::string& device);

// Waits for all work on the card. An error: it is lost to this process, whatever is tried.
[[nodiscard]] Status check_card(const std::string& device);

}  // namespace kiln::lane
