// Reads one entry out of an exported program's .pt2: a zip whose entries are stored, not compressed.
// Pure: bytes in, a view into them out. Nothing is unpacked to disk, so names cannot lead anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace kiln::sharding {

inline constexpr std::uint64_t kPt2BytesMax = std::uint64_t{512} << 20U;
inline constexpr std::size_t kPt2EntriesMax = 1024;

// The bytes of `models/model.json` (the exported program), which must be there exactly once, stored,
// with the right CRC-32. Anything else about the archive that is not as torch writes it is an error.
[[nodiscard]] Result<std::string_view> read_pt2_graph(std::span<const std::byte> pt2);

}  // namespace kiln::sharding
