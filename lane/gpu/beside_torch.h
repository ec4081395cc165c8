// Libraries that come with torch's wheels, beside the torch that this process runs with.
#pragma once

#include <string>
#include <string_view>

namespace kiln::lane {

// `place`: from the folder that holds torch ("nvidia/nccl/lib/libnccl.so.2"). Empty: this process has no LibTorch loaded.
[[nodiscard]] std::string path_beside_torch(std::string_view place);

}  // namespace kiln::lane
