// What a graphics card is, as its driver's own tool says it. No CUDA here: lanes have that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln::worker {

struct Card {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  std::string arch;  // "sm_90"
  std::uint64_t memory_bytes = 0;
};

// One line of `nvidia-smi --query-gpu=name,compute_cap,memory.total --format=csv,noheader,nounits`:
// "NVIDIA H100 80GB HBM3, 9.0, 81559". Pure.
[[nodiscard]] Result<Card> parse_card(std::string_view line);
// Of "cuda:N". kNotFound: no such card, or no driver.
[[nodiscard]] Result<Card> probe_card(const std::string& device);

}  // namespace kiln::worker
