// What the tile planner needs of a package.
#pragma once

#include <vector>

#include "sharding/package/package_manifest.h"
#include "sharding/tile_planner.h"

namespace kiln::sharding {

[[nodiscard]] TilingRules tiling_rules(const PackageManifest& manifest);

struct ShapedGraphs {
  std::vector<std::size_t> indices;      // into manifest.graphs
  std::vector<GraphShapeRange> shapes;   // of the same graphs
};
// The graphs of one dtype, in the manifest's order.
[[nodiscard]] ShapedGraphs graphs_of(const PackageManifest& manifest, GraphDtype dtype);

}  // namespace kiln::sharding
