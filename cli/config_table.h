// Between the parts of the table of settings. Nobody else includes this.
#pragma once

#include <span>

#include "cli/config.h"

namespace kiln::cli {

// Where a setting lies in a configuration: the way of members to it.
template <auto... Path>
constexpr auto kPlace = [](Config& config) -> auto& { return (config .* ... .* Path); };

// [farm] and [worker].
[[nodiscard]] std::span<const Setting> farm_settings();

}  // namespace kiln::cli
