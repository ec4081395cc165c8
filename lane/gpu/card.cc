#include "lane/gpu/card.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Device.h>

#include "lane/engine/torch_types.h"
#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/cuda_stream.h"
#include "lane/gpu/cuda_transfer.h"

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

Result<CardUse> card_use(const std::string& device) {
  KILN_TRY(enter_card(device));
  KILN_TRY_ASSIGN(const c10::Device card, open_device(device));
  KILN_TRY_ASSIGN(const auto driver, CudaDriver::open());
  CardUse out;
  std::size_t free_bytes = 0;
  std::size_t all_bytes = 0;
  KILN_TRY(driver->check(driver->functions().memory_info(&free_bytes, &all_bytes), "cuMemGetInfo"));
  out.free_bytes = free_bytes;
  out.all_bytes = all_bytes;
  try {
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    c10::DeviceAllocator* allocator = c10::getDeviceAllocator(card.type());
    if (!allocator->initialized()) return out;
    const auto stats = allocator->getDeviceStats(card.index());
    out.allocated_peak_bytes = static_cast<std::uint64_t>(stats.allocated_bytes[kAll].peak);
    out.reserved_peak_bytes = static_cast<std::uint64_t>(stats.reserved_bytes[kAll].peak);
    out.reserved_bytes = static_cast<std::uint64_t>(stats.reserved_bytes[kAll].current);
    return out;
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("asking for the card's memory"));
  }
}

Result<std::unique_ptr<TransferDevice>> open_transfer(const std::string& device) {
  KILN_TRY_ASSIGN(const c10::Device card, open_device(device));
  if (!card.is_cuda()) return fail(make_error(ErrorCode::kFailedPrecondition, "a lane of the CPU shares no weights"));
  return open_cuda_transfer(card.index());
}

Status check_card(const std::string& device) {
  KILN_TRY_ASSIGN(const auto queueing, enter_card(device));
  return queueing->wait_for_all();
}

}  // namespace kiln::lane
