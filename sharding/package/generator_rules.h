// What must hold between the tables of a text-to-video model's manifest. Internal to the manifest readers.
#pragma once

#include <string_view>
#include <toml++/impl/forward_declarations.h>

#include "sharding/package/generator_manifest.h"
#include "sharding/package/manifest_table.h"

namespace kiln::sharding {

// `file` and `sha256` of a table: a path inside the package, and a digest.
void read_package_file(ManifestTable& table, std::string& file, std::string& sha256);

// The format's version, before anything else is looked at.
[[nodiscard]] Status check_package_version(const toml::table& document, std::string_view origin);

// Names lead somewhere and are told apart; every parameter of every repetition has exactly one tensor in every
// set of weights of its part.
[[nodiscard]] Status check_generator_rules(const GeneratorManifest& manifest, std::string_view origin);

}  // namespace kiln::sharding
