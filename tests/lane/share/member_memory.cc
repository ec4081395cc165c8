#include "tests/lane/share/member_memory.h"

#include <dlfcn.h>

#include <algorithm>
#include <span>
#include <vector>

#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/cuda_stream.h"
#include "lane/gpu/cuda_transfer.h"
#include "lane/gpu/driver_symbol.h"
#include "lane/media/color/frame_hash.h"
#include "tests/lane/share/host_transfer.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kHashBlock = std::size_t{64} << 20U;

std::string hash_of(const std::vector<std::string>& blocks) {
  std::string all;
  for (const std::string& block : blocks) all += block;
  return to_string(hash_frame(std::as_bytes(std::span(all))));
}

class HostMemory final : public MemberMemory {
 public:
  Result<std::unique_ptr<TransferDevice>> make_device() override { return std::make_unique<HostTransfer>(); }
  Result<std::byte*> allocate(std::size_t bytes) override {
    bytes_.resize(bytes);
    return bytes_.data();
  }
  Result<std::string> hash() override {
    std::vector<std::string> blocks;
    for (std::size_t at = 0; at < bytes_.size(); at += kHashBlock) {
      blocks.push_back(to_string(hash_frame(std::span(bytes_).subspan(at, std::min(kHashBlock, bytes_.size() - at)))));
    }
    return hash_of(blocks);
  }
  std::uint64_t free_bytes() override { return 0; }

 private:
  std::vector<std::byte> bytes_;
};

class CardMemory final : public MemberMemory {
 public:
  Result<std::unique_ptr<TransferDevice>> make_device() override {
    KILN_TRY(open());
    return open_cuda_transfer(0);
  }
  Result<std::byte*> allocate(std::size_t bytes) override {
    KILN_TRY(open());
    unsigned long long address = 0;
    KILN_TRY(driver_->check(driver_->functions().allocate(&address, bytes), "cuMemAlloc"));
    data_ = reinterpret_cast<std::byte*>(address);
    bytes_ = bytes;
    return data_;
  }
  Result<std::string> hash() override {
    std::vector<std::string> blocks;
    std::vector<std::byte> block(std::min(kHashBlock, bytes_));
    for (std::size_t at = 0; at < bytes_; at += kHashBlock) {
      const std::size_t size = std::min(kHashBlock, bytes_ - at);
      KILN_TRY(driver_->check(copy_to_host_(block.data(), reinterpret_cast<unsigned long long>(data_) + at, size), "cuMemcpyDtoH"));
      blocks.push_back(to_string(hash_frame(std::span(block).first(size))));
    }
    return hash_of(blocks);
  }
  std::uint64_t free_bytes() override {
    std::size_t free = 0;
    std::size_t total = 0;
    return open() && memory_info_(&free, &total) == 0 ? free : 0;
  }

 private:
  Status open() {
    if (queueing_ != nullptr) return {};
    KILN_TRY_ASSIGN(driver_, CudaDriver::open());
    KILN_TRY(driver_->check(driver_->functions().init(0), "cuInit"));
    KILN_TRY_ASSIGN(queueing_, CudaQueueing::open(0));
    void* library = ::dlopen(kCudaDriverName, RTLD_NOW | RTLD_LOCAL);
    KILN_TRY(find_driver_symbol(library, "cuMemGetInfo_v2", memory_info_));
    return find_driver_symbol(library, "cuMemcpyDtoH_v2", copy_to_host_);
  }

  std::shared_ptr<const CudaDriver> driver_;
  std::shared_ptr<const CudaQueueing> queueing_;
  int (*memory_info_)(std::size_t*, std::size_t*) = nullptr;
  int (*copy_to_host_)(void*, unsigned long long, std::size_t) = nullptr;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<MemberMemory> make_member_memory(const std::string& device) {
  if (device == "host") return std::make_unique<HostMemory>();
  return std::make_unique<CardMemory>();
}

}  // namespace kiln::lane
