// What `kiln import` does with a package once Python has written it.
#pragma once

#include <string>

#include "base/result.h"
#include "sharding/package/package_manifest.h"

namespace kiln::cli {

// Reads every file of a package as a lane will: hashes, the manifest, each graph's operators and symbols.
// The manifest, or an error that names the file.
[[nodiscard]] Result<sharding::PackageManifest> check_package(const std::string& folder);

}  // namespace kiln::cli
