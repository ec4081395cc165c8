#include "lane/gpu/card.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "lane/engine/torch_types.h"
#include "lane/gpu/cuda_stream.h"

namespace kiln::lane {

Result<std::shared_ptr<const KernelModule>> load_kernels_on(const std::string& device) {
  try {
    KILN_TRY_ASSIGN(const c10::Device card, open_device(device));
    (void)at::empty({1}, at::TensorOptions().dtype(at::kByte).device(card));  // its context is this thread's from here on
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("opening the card"));
  }
  return load_own_kernels();
}

Status check_card(const std::string& device) {
  try {
    KILN_TRY_ASSIGN(const c10::Device card, open_device(device));
    c10::impl::VirtualGuardImpl(card.type()).setDevice(card);  // its context is this thread's
    KILN_TRY_ASSIGN(const auto queueing, CudaQueueing::open());
    return queueing->wait_for_all();
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("looking at the card"));
  }
}

}  // namespace kiln::lane
