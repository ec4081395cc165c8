// Which cards this host has, what they can do, and whether the installed torch can use them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/nvml.h"

namespace kiln::worker {

inline constexpr ComputeCapability kFp8Least{8, 9};  // Ada: matrix products in fp8

[[nodiscard]] std::string arch_name(ComputeCapability capability);  // "sm_90"
[[nodiscard]] bool has_fp8(ComputeCapability capability);
[[nodiscard]] std::string pci_name(const PciPlace& place);  // "0000:0f:00.0", as /sys names it
[[nodiscard]] std::string to_string(CudaVersion version);   // "13.0"; empty: not known
[[nodiscard]] CudaVersion parse_cuda_version(std::string_view text);  // "13.0"; 0.0 where it is none
// "0-3,8,10-11" of /sys/devices/system/node/node0/cpulist. kDataLoss: it is none.
[[nodiscard]] Result<std::vector<int>> parse_core_list(std::string_view text);
// What both hold; `allowed` is sorted.
[[nodiscard]] std::vector<int> shared_cores(const std::vector<int>& cores, const std::vector<int>& allowed);

// What the installed torch is built for: 0.0: for no CUDA. nullopt: not known, and nothing is held against it.
using TorchCuda = std::optional<CudaVersion>;
// Why that torch cannot use the cards of this driver, or this card. Empty: it can.
[[nodiscard]] std::string driver_misfit(const CardList& list, TorchCuda torch);
[[nodiscard]] std::string card_misfit(const Card& card, TorchCuda torch);

// The NUMA node of each card and its cores, from `sys` ("/sys"), as far as the system says it.
void find_cores(Card& card, const std::string& sys, const std::vector<int>& allowed);

struct CardProbe {
  std::string library = kNvmlName;
  std::string sys = "/sys";
  std::chrono::milliseconds deadline{20'000};  // a card that is wedged holds whoever asks for it
};
// A card that cannot be read is left out, and `said` gets a line.
[[nodiscard]] Result<CardList> list_cards(CardDriver& driver, std::vector<std::string>& said);
// The above, of this host. kDeadlineExceeded: the driver does not answer.
[[nodiscard]] Result<CardList> probe_cards(const CardProbe& probe, std::vector<std::string>& said);
// "card 0, NVIDIA H100 80GB HBM3 (sm_90), 79.1 GiB of 79.6 GiB free, NUMA node 0 with 16 cores". For people.
[[nodiscard]] std::string describe(const Card& card);
[[nodiscard]] std::vector<int> allowed_cores();  // of this process, sorted

}  // namespace kiln::worker
