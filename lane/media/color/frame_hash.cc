#include "lane/media/color/frame_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace kiln::lane {

FrameHash hash_frame(std::span<const std::byte> planes) {
  const XXH128_hash_t hash = XXH3_128bits(planes.data(), planes.size());
  return {hash.high64, hash.low64};
}

std::string to_string(FrameHash hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

}  // namespace kiln::lane
