#include "sharding/package/package_tiling.h"

namespace kiln::sharding {

TilingRules tiling_rules(const PackageManifest& manifest) {
  TilingRules rules;
  rules.kind = manifest.tiling.kind;
  rules.halo = static_cast<int>(manifest.tiling.halo);
  rules.size_multiple = static_cast<int>(manifest.size_multiple);
  rules.size_minimum = static_cast<int>(manifest.size_minimum);
  rules.size_square = manifest.size_square;
  return rules;
}

ShapedGraphs graphs_of(const PackageManifest& manifest, GraphDtype dtype) {
  ShapedGraphs out;
  for (std::size_t i = 0; i < manifest.graphs.size(); ++i) {
    const PackageGraph& graph = manifest.graphs[i];
    if (graph.dtype != dtype) continue;
    out.indices.push_back(i);
    out.shapes.push_back({static_cast<int>(graph.height_min), static_cast<int>(graph.height_max),
                          static_cast<int>(graph.width_min), static_cast<int>(graph.width_max)});
  }
  return out;
}

}  // namespace kiln::sharding
