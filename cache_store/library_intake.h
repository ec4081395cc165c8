// The way of a freshly compiled library into the store: read once, made loadable, checked, sealed, hashed.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "cache_store/artifact_file_check.h"

namespace kiln::cache {

inline constexpr std::uint64_t kLibraryBytesMax = 1ULL << 30U;

struct LibraryIntake {
  UniqueFd content;  // sealed
  Digest sha256;
  std::uint64_t size_bytes = 0;
  ArtifactFileReport report;
  bool stack_flag_cleared = false;
};

// Reads what a compile child wrote (untrusted), clears its executable-stack flag, checks it as a lane will.
[[nodiscard]] Result<LibraryIntake> take_in_library(const std::string& path);

}  // namespace kiln::cache
