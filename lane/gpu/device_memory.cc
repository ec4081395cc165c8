#include "lane/gpu/device_memory.h"

#include "lane/gpu/cuda_driver.h"

namespace kiln::lane {

Result<std::shared_ptr<const DeviceMemory>> DeviceMemory::copy_of(std::span<const std::byte> bytes) {
  std::shared_ptr<DeviceMemory> memory(new DeviceMemory());
  KILN_TRY_ASSIGN(memory->driver_, CudaDriver::open());
  const CudaDriver& driver = *memory->driver_;
  KILN_TRY(driver.current_context());
  KILN_TRY(driver.check(driver.functions().allocate(&memory->address_, bytes.size()), "cuMemAlloc"));
  KILN_TRY(driver.check(driver.functions().copy_to_device(memory->address_, bytes.data(), bytes.size()), "cuMemcpyHtoD"));
  return std::shared_ptr<const DeviceMemory>(std::move(memory));
}

DeviceMemory::~DeviceMemory() {
  if (address_ != 0) driver_->functions().release(address_);
}

}  // namespace kiln::lane
