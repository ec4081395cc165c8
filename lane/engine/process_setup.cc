// What a lane sets up or asks about its process, once.
#include <malloc.h>

#include "base/cpu.h"
#include "lane/engine/network.h"
#include "sharding/isa_level.h"

namespace kiln::lane {
namespace {

// glibc's largest (half of a thread's heap). Larger buffers would still be mapped and faulted in anew for
// every operator, so mapping is switched off altogether.
constexpr int kMmapThresholdBytes = 32 << 20;
// Freed memory at the end of the heap is kept: the next frame needs it again.
constexpr int kTrimThresholdBytes = 2'000'000'000;

}  // namespace

void tune_allocator() {
  mallopt(M_MMAP_THRESHOLD, kMmapThresholdBytes);
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, kTrimThresholdBytes);
}

std::string_view cpu_isa_level() { return sharding::to_string(sharding::isa_level_of(read_cpuid())); }

std::string_view to_string(Executor executor) {
  return executor == Executor::kCompiled ? "compiled" : "uncompiled";
}

}  // namespace kiln::lane
