// Files of a model package: read once into a sealed memory file, and only if they are what the manifest says.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"

namespace kiln::cache {

// Copies the file into a sealed memory file and hashes that copy: what was verified is what is used, also
// when the file changes afterwards. Exit code 66: it is not there; 65: it holds something else.
[[nodiscard]] Result<UniqueFd> load_sealed_verified(const std::string& path, const Digest& expected);

}  // namespace kiln::cache
