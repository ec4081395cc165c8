// A model package as the worker holds it: the manifest, and sealed copies of the files that it names,
// each checked against its hash.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/package_manifest.h"

namespace kiln::cli {

struct PackageFolder {
  std::string path;
  std::string manifest_text;
  Digest manifest_digest;
  sharding::PackageManifest manifest;
  struct Graph {
    std::uint32_t index = 0;  // into manifest.graphs
    UniqueFd pt2;             // sealed
    UniqueFd json;            // sealed: models/model.json of it, checked
    std::string json_sha256;
    sharding::ExportedGraph graph;
  };
  std::vector<Graph> graphs;  // of the dtype that was asked for, in the manifest's order
  UniqueFd weights;           // sealed
};

// Exit code 66: not there; 65: changed, damaged, of another format version, or a graph that is refused.
[[nodiscard]] Result<PackageFolder> open_package(const std::string& path, sharding::GraphDtype dtype);

// Peak of activations of one uncompiled run, from the graph's shapes alone.
[[nodiscard]] Result<std::uint64_t> activation_bytes(const PackageFolder& package, const PackageFolder::Graph& graph,
                                                     int height, int width);

}  // namespace kiln::cli
