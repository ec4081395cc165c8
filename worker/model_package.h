// A model package as the worker holds it: the manifest, and sealed copies of the files that it names, each checked
// against its hash, wherever they come from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "net/farm_tasks.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/package_manifest.h"

namespace kiln::worker {

struct ModelPackage {
  std::string manifest_text;
  Digest digest;  // of the manifest, which names the hashes of all files
  sharding::PackageManifest manifest;
  struct Graph {
    std::uint32_t index = 0;  // into manifest.graphs
    UniqueFd pt2;             // sealed
    std::string json_sha256;  // of models/model.json in it, which was checked
    sharding::ExportedGraph graph;
  };
  std::vector<Graph> graphs;  // of the dtype that was asked for, in the manifest's order
  UniqueFd weights;           // sealed

  [[nodiscard]] const Graph* find_graph(std::uint32_t index) const;
};

// A sealed memory file with that content, or an error of exit code 65 or 66.
using PackageLoader = std::function<Result<UniqueFd>(const std::string& file, const Digest& expected)>;

// Exit code 65: another format version, a file that is not what the manifest says, or a graph that is refused.
[[nodiscard]] Result<ModelPackage> open_model_package(std::string manifest_text, const PackageLoader& load,
                                                      sharding::GraphDtype dtype);

// Peak of activations of one uncompiled run, from the graph's shapes alone.
[[nodiscard]] Result<std::uint64_t> activation_bytes(const ModelPackage& package, const ModelPackage::Graph& graph,
                                                     int height, int width);

struct TileChoices {
  std::vector<net::TileChoice> tiles;  // by rising budget; equal shapes once, with the least budget that gave them
  std::string reason;                  // why there is none
};
// The cheapest tiles of a frame for each memory budget.
[[nodiscard]] TileChoices choose_tiles(const ModelPackage& package, int frame_height, int frame_width,
                                       std::vector<std::uint64_t> budgets_bytes);

}  // namespace kiln::worker
