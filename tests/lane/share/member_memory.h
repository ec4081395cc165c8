// Where a member's weights go: a card's memory, or plain memory.
#pragma once

#include <memory>
#include <string>

#include "lane/gpu/transfer_device.h"

namespace kiln::lane {

class MemberMemory {
 public:
  virtual ~MemberMemory() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<TransferDevice>> make_device() = 0;
  [[nodiscard]] virtual Result<std::byte*> allocate(std::size_t bytes) = 0;  // once
  [[nodiscard]] virtual Result<std::string> hash() = 0;                      // of all that was allocated
  [[nodiscard]] virtual std::uint64_t free_bytes() = 0;                      // of the card; 0: not known
};

// "host" or "cuda:0".
[[nodiscard]] std::unique_ptr<MemberMemory> make_member_memory(const std::string& device);

}  // namespace kiln::lane
