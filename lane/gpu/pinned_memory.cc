#include "lane/gpu/pinned_memory.h"

#include <sys/mman.h>

#include <cerrno>

#include "lane/gpu/cuda_driver.h"

namespace kiln::lane {
namespace {

constexpr unsigned kForAllContexts = 1;  // CU_MEMHOSTREGISTER_PORTABLE

}  // namespace

Result<std::unique_ptr<PinnedMemory>> PinnedMemory::make(std::size_t bytes) {
  std::unique_ptr<PinnedMemory> out(new PinnedMemory());
  KILN_TRY_ASSIGN(out->driver_, CudaDriver::open());
  KILN_TRY(out->driver_->current_context());
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(errno_error(errno, "memory for frames"));
  out->data_ = static_cast<std::byte*>(memory);
  out->size_ = bytes;
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // pinned in fewer steps, where the system has such pages
  KILN_TRY(out->driver_->check(out->driver_->functions().register_host(memory, bytes, kForAllContexts), "cuMemHostRegister"));
  out->registered_ = true;
  return out;
}

PinnedMemory::~PinnedMemory() {
  if (registered_) driver_->functions().unregister_host(data_);
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace kiln::lane
