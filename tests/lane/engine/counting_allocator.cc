#include "tests/lane/engine/counting_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>

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

struct Block {
  c10::DataPtr memory;
  std::int64_t bytes;
};

void free_block(void* context) {
  auto* block = static_cast<Block*>(context);
  count(-block->bytes);
  delete block;
}

class CountingAllocator final : public c10::Allocator {
 public:
  explicit CountingAllocator(c10::Allocator* inner) : inner_(inner) {}
  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr memory = inner_->allocate(bytes);
    void* data = memory.get();
    const auto size = static_cast<std::int64_t>(bytes);
    auto* block = new Block{std::move(memory), size};
    count(size);
    return {data, block, &free_block, c10::Device(c10::DeviceType::CPU)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  c10::Allocator* inner_;
};

}  // namespace

void install_counting_allocator() {
  static const bool installed = [] {
    c10::SetCPUAllocator(new CountingAllocator(c10::GetCPUAllocator()), 1);
    return true;
  }();
  (void)installed;
}

void restart_peak() {
  base = live;
  peak = base;
}

std::uint64_t peak_bytes() { return static_cast<std::uint64_t>(peak - base); }

}  // namespace kiln::lane
