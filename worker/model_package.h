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
  std::vector<Graph> graphs;  // of the dtypes that were asked for, in the manifest's order
  std::vector<sharding::GraphDtype> dtypes;  // those: also such as the manifest has no graph of
  UniqueFd weights;           // sealed

  [[nodiscard]] const Graph* find_graph(std::uint32_t index) const;
  [[nodiscard]] std::vector<const Graph*> graphs_of(sharding::GraphDtype dtype) const;
  [[nodiscard]] bool is_open_for(const std::vector<sharding::GraphDtype>& wanted) const;
};

// A sealed memory file with that content, or an error of exit code 65 or 66.
using PackageLoader = std::function<Result<UniqueFd>(const std::string& file, const Digest& expected)>;

// Exit code 65: another format version, a file that is not what the manifest says, a graph that is refused, or no graph
// of any of these dtypes.
[[nodiscard]] Result<ModelPackage> open_model_package(std::string manifest_text, const PackageLoader& load,
                                                      std::vector<sharding::GraphDtype> dtypes);

// The sizes that its graph leaves open, for frames of this size.
[[nodiscard]] Result<sharding::SymbolValues> symbols_of(const ModelPackage& package, const ModelPackage::Graph& graph, int height,
                                                        int width);

}  // namespace kiln::worker
