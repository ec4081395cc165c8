// What the manifests of all kinds of packages say in the same words. Internal to the manifest readers.
#pragma once

#include <string>
#include <string_view>
#include <toml++/impl/forward_declarations.h>

#include "sharding/package/manifest_table.h"
#include "sharding/package/package_manifest.h"

namespace kiln::sharding {

// `file` and `sha256` of a table: a path inside the package, and a digest.
void read_package_file(ManifestTable& table, std::string& file, std::string& sha256);

// `dtype` of a graph. A word that is none is refused, and float32 given.
[[nodiscard]] GraphDtype read_graph_dtype(ManifestTable& table);

// The format's version, before anything else is looked at.
[[nodiscard]] Status check_package_version(const toml::table& document, std::string_view origin);

}  // namespace kiln::sharding
