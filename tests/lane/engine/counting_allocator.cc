#include "tests/lane/engine/counting_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace kiln::lane {
namespace {

std::atomic<std::int64_t> live{0};
std::atomic<std::int64_t> peak{0};
std::int64_t base = 0;

void count(std::int64_t bytes) {
  const std::int64_t now = live += bytes;
  std::int64_t before = peak;
  while (now > before && !peak.compare_exchange_weak(before, now)) {
  }
}

// The size is kept in front of the memory: LibTorch wants the memory itself as the context.
constexpr std::size_t kHeaderBytes = 64;

void free_block(void* data) {
  if (data == nullptr) return;
  auto* block = static_cast<std::byte*>(data) - kHeaderBytes;
  count(-*reinterpret_cast<std::int64_t*>(block));
  std::free(block);
}

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &free_block, cpu};
    const std::size_t whole = (bytes + 2 * kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes;
    auto* block = static_cast<std::byte*>(std::aligned_alloc(kHeaderBytes, whole));
    if (block == nullptr) throw std::bad_alloc();
    *reinterpret_cast<std::int64_t*>(block) = static_cast<std::int64_t>(bytes);
    count(static_cast<std::int64_t>(bytes));
    return {block + kHeaderBytes, block + kHeaderBytes, &free_block, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

void install_counting_allocator() {
  static const bool kInstalled = [] {
    c10::SetCPUAllocator(new CountingAllocator(), 1);
    return true;
  }();
  (void)kInstalled;
}

void restart_peak() {
  base = live;
  peak = base;
}

std::uint64_t peak_bytes() { return static_cast<std::uint64_t>(peak - base); }

}  // namespace kiln::lane
