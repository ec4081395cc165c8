#include "cli/upscale/package_folder.h"

#include "base/sealed_file.h"
#include "cache_store/verified_file.h"
#include "sharding/graph/liveness.h"
#include "sharding/package/pt2_archive.h"

namespace kiln::cli {
namespace {

Result<UniqueFd> open_file(const std::string& folder, const std::string& file, const std::string& sha256_hex) {
  const std::string path = folder + "/" + file;
  auto expected = Digest::from_hex(sha256_hex);
  if (!expected) return fail(input_refused("{}: {}", path, expected.error().message));
  return cache::load_sealed_verified(path, *expected);
}

Result<PackageFolder::Graph> open_graph(const std::string& folder, const sharding::PackageGraph& description,
                                        std::uint32_t index) {
  const std::string path = folder + "/" + description.file;
  PackageFolder::Graph graph;
  graph.index = index;
  KILN_TRY_ASSIGN(graph.pt2, open_file(folder, description.file, description.sha256));
  KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(graph.pt2.get()));
  auto json = sharding::read_pt2_graph(mapping.bytes());
  if (!json) return fail(input_refused("{}: {}", path, json.error().message));
  auto parsed = sharding::parse_exported_graph(*json, path);
  if (!parsed) return fail(input_refused("{}", parsed.error().message));
  graph.graph = std::move(*parsed);
  graph.json_sha256 = sha256(*json).hex();
  KILN_TRY_ASSIGN(graph.json, make_sealed("graph", std::as_bytes(std::span(*json))));
  return graph;
}

}  // namespace

Result<PackageFolder> open_package(const std::string& path, sharding::GraphDtype dtype) {
  PackageFolder package;
  package.path = path;
  const std::string manifest_path = path + "/manifest.toml";
  auto text = read_file(manifest_path, sharding::kManifestBytesMax);
  if (!text) {
    const bool missing = text.error().code == ErrorCode::kNotFound;
    Error error = missing ? input_missing("{}: no model package", path) : input_refused("{}: is no model package", path);
    error.message += fmt::format(" ({}). Make one with: kiln import upscaler FILE -o PACKAGE", text.error().message);
    return fail(std::move(error));
  }
  package.manifest_text = std::move(*text);
  package.manifest_digest = sha256(package.manifest_text);
  KILN_TRY_ASSIGN(package.manifest, sharding::parse_package_manifest(package.manifest_text, manifest_path));
  for (std::uint32_t i = 0; i < package.manifest.graphs.size(); ++i) {
    const sharding::PackageGraph& description = package.manifest.graphs[i];
    if (description.dtype != dtype) continue;
    KILN_TRY_ASSIGN(auto graph, open_graph(path, description, i));
    package.graphs.push_back(std::move(graph));
  }
  if (package.graphs.empty()) {
    return fail(input_refused("{}: no graph of dtype {}; import the model again", path, sharding::to_string(dtype)));
  }
  KILN_TRY_ASSIGN(package.weights,
                  open_file(path, package.manifest.weights.file, package.manifest.weights.sha256));
  return package;
}

Result<std::uint64_t> activation_bytes(const PackageFolder& package, const PackageFolder::Graph& graph, int height,
                                       int width) {
  const std::int64_t frames = package.manifest.frames();
  std::vector<std::int64_t> frame = {1, package.manifest.channels, height, width};
  if (frames > 1) frame.insert(frame.begin() + 1, frames);
  std::vector<std::vector<std::int64_t>> sizes = {frame};
  for (const auto& parameter : package.manifest.parameters) sizes.push_back(parameter.shape);
  KILN_TRY_ASSIGN(const auto symbols, sharding::bind_symbols(graph.graph, sizes));
  KILN_TRY_ASSIGN(const auto peak, sharding::peak_activation_bytes(graph.graph, symbols, 1));
  return peak.peak_bytes;
}

}  // namespace kiln::cli
