#include "lane/gpu/card.h"

#include <c10/core/Device.h>

#include "lane/engine/torch_types.h"
#include "lane/gpu/cuda_stream.h"

namespace kiln::lane {

namespace {

// LibTorch's CUDA library is there, and the card's context is the thread's.
Result<std::shared_ptr<const CudaQueueing>> enter_card(const std::string& device) {
  KILN_TRY_ASSIGN(const c10::Device card, open_device(device));
  return CudaQueueing::open(card.index());
}

}  // namespace

Result<std::shared_ptr<const KernelModule>> load_kernels_on(const std::string& device, KernelSupply& supply) {
  KILN_TRY(enter_card(device));
  return supply.module();
}

Status check_card(const std::string& device) {
  KILN_TRY_ASSIGN(const auto queueing, enter_card(device));
  return queueing->wait_for_all();
}

}  // namespace kiln::lane
