// The lane's card as a whole.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "lane/gpu/kernel_supply.h"

namespace kiln::lane {

// Our kernels on `device` ("cuda:N"). Sets the card up where nobody did before: takes a second or two.
[[nodiscard]] Result<std::shared_ptr<const KernelModule>> load_kernels_on(const std::string& device, KernelSupply& supply);

// Waits for all work on the card. An error: it is lost to this process, whatever is tried.
[[nodiscard]] Status check_card(const std::string& device);

}  // namespace kiln::lane
