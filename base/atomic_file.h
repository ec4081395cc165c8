// Whole files that appear at once or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/file_system.h"

namespace kiln {

// Temp file beside `path`, written, synced, renamed over `path`, folder synced. After an error, or a crash
// at any point, `path` holds its old bytes or all of the new ones.
[[nodiscard]] Status write_file_atomic(FileSystem& files, const std::string& path,
                                       std::span<const std::byte> bytes, std::uint32_t mode = 0644);
[[nodiscard]] Status write_file_atomic(const std::string& path, std::string_view text,
                                       std::uint32_t mode = 0644);

// Of random_temp_name().
[[nodiscard]] bool is_temp_name(std::string_view name);

// Removes what earlier processes left half-written in `folder` (names of random_temp_name()); returns how
// many. Only while nobody else writes there.
[[nodiscard]] Result<std::uint64_t> sweep_temp_files(FileSystem& files, const std::string& folder);

}  // namespace kiln
