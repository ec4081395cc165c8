#include "worker/model_package.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/sealed_file.h"
#include "sharding/package/pt2_archive.h"

namespace kiln::worker {
namespace {

Result<UniqueFd> load_file(const PackageLoader& load, const std::string& file, const std::string& sha256_hex) {
  const auto expected = Digest::from_hex(sha256_hex);
  if (!expected) return fail(input_refused("{}: {}", file, expected.error().message));
  return load(file, *expected);
}

Result<ModelPackage::Graph> load_graph(const PackageLoader& load, const sharding::PackageGraph& description,
                                       std::uint32_t index) {
  ModelPackage::Graph graph;
  graph.index = index;
  KILN_TRY_ASSIGN(graph.pt2, load_file(load, description.file, description.sha256));
  KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(graph.pt2.get()));
  const auto json = sharding::read_pt2_graph(mapping.bytes());
  if (!json) return fail(input_refused("{}: {}", description.file, json.error().message));
  auto parsed = sharding::parse_exported_graph(*json, description.file);
  if (!parsed) return fail(input_refused("{}", parsed.error().message));
  graph.graph = std::move(*parsed);
  graph.json_sha256 = sha256(*json).hex();
  return graph;
}

}  // namespace

const ModelPackage::Graph* ModelPackage::find_graph(std::uint32_t index) const {
  const auto found = std::find_if(graphs.begin(), graphs.end(), [&](const Graph& graph) { return graph.index == index; });
  return found == graphs.end() ? nullptr : &*found;
}

std::vector<const ModelPackage::Graph*> ModelPackage::graphs_of(sharding::GraphDtype dtype) const {
  std::vector<const Graph*> out;
  for (const Graph& graph : graphs) {
    if (manifest.graphs[graph.index].dtype == dtype) out.push_back(&graph);
  }
  return out;
}

bool ModelPackage::is_open_for(const std::vector<sharding::GraphDtype>& wanted) const {
  return std::all_of(wanted.begin(), wanted.end(), [&](sharding::GraphDtype dtype) {
    return std::find(dtypes.begin(), dtypes.end(), dtype) != dtypes.end();
  });
}

Result<ModelPackage> open_model_package(std::string manifest_text, const PackageLoader& load,
                                        std::vector<sharding::GraphDtype> dtypes) {
  ModelPackage package;
  package.dtypes = std::move(dtypes);
  package.manifest_text = std::move(manifest_text);
  package.digest = sha256(package.manifest_text);
  KILN_TRY_ASSIGN(package.manifest, sharding::parse_package_manifest(package.manifest_text, "manifest.toml"));
  for (std::uint32_t i = 0; i < package.manifest.graphs.size(); ++i) {
    const sharding::PackageGraph& description = package.manifest.graphs[i];
    if (!package.is_open_for({description.dtype})) continue;
    KILN_TRY_ASSIGN(auto graph, load_graph(load, description, i));
    package.graphs.push_back(std::move(graph));
  }
  if (package.graphs.empty()) {
    std::vector<std::string_view> names;
    for (const sharding::GraphDtype dtype : package.dtypes) names.push_back(sharding::to_string(dtype));
    return fail(input_refused("the package has no graph of dtype {}; import the model again", fmt::join(names, " or ")));
  }
  KILN_TRY_ASSIGN(package.weights, load_file(load, package.manifest.weights.file, package.manifest.weights.sha256));
  return package;
}

Result<sharding::SymbolValues> symbols_of(const ModelPackage& package, const ModelPackage::Graph& graph, int height, int width) {
  const std::int64_t frames = package.manifest.frames();
  std::vector<std::int64_t> frame = {1, package.manifest.channels, height, width};
  if (frames > 1) frame.insert(frame.begin() + 1, frames);
  std::vector<std::vector<std::int64_t>> sizes = {frame};
  for (const auto& parameter : package.manifest.parameters) sizes.push_back(parameter.shape);
  return sharding::bind_symbols(graph.graph, sizes);
}

}  // namespace kiln::worker
