// What must hold between the tables of a text-to-video model's manifest. Internal to its reader.
#pragma once

#include <string_view>

#include "sharding/package/generator_manifest.h"

namespace kiln::sharding {

// Names lead somewhere and are told apart; every parameter of every repetition has exactly one tensor in every
// set of weights of its part.
[[nodiscard]] Status check_generator_rules(const GeneratorManifest& manifest, std::string_view origin);

}  // namespace kiln::sharding
