// The tensors that a graph of a package is called with, for one size of frame.
#pragma once

#include <cstdint>
#include <vector>

#include "sharding/compile_key.h"
#include "sharding/package/package_manifest.h"

namespace kiln::sharding {

// Frames first, then every parameter in the manifest's order, as the lane hands them over.
[[nodiscard]] std::vector<TensorSpec> package_inputs(const PackageManifest& manifest, GraphDtype dtype,
                                                     std::int64_t height, std::int64_t width);

}  // namespace kiln::sharding
