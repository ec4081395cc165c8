// What stands for a stream of a card where there is none: how many broadcasts were put into it, and how many are done.
#pragma once

#include <atomic>
#include <cstdint>

namespace kiln::lane {

struct TestStream {
  std::atomic<std::uint64_t> queued{0};
  std::atomic<std::uint64_t> done{0};
};

}  // namespace kiln::lane
