// What `kiln import` does with a package once Python has written it.
#pragma once

#include <string>

#include "base/result.h"
#include "sharding/package/generator_manifest.h"
#include "sharding/package/package_manifest.h"

namespace kiln::cli {

struct CheckedPackage {
  sharding::PackageManifest manifest;
  bool one_thread = false;  // lanes run it with one thread each: its bits depend on their number
};

// Reads every file of a package as a lane will: hashes, the manifest, each graph's operators and symbols.
// What it is, or an error that names the file.
[[nodiscard]] Result<CheckedPackage> check_package(const std::string& folder);

// The same of a text-to-video model's package. Of its weights only the sizes are looked at: they are many, and were
// hashed a moment ago.
[[nodiscard]] Result<sharding::GeneratorManifest> check_generator_package(const std::string& folder);

}  // namespace kiln::cli
