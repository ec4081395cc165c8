#include "sharding/package/package_manifest.h"

#include <algorithm>
#include <toml++/toml.h>

#include "sharding/graph/exported_graph.h"
#include "sharding/package/manifest_fields.h"

namespace kiln::sharding {
namespace {

Status read_tiling(const toml::table& source, std::string_view origin, Tiling& tiling) {
  ManifestTable table(source, "[tiling]", origin);
  if (auto kind = tiling_kind_from_string(table.text("kind"))) {
    tiling.kind = *kind;
  } else {
    table.refuse("kind", "must be \"exact\", \"approximate\" or \"whole\"");
  }
  tiling.halo = table.integer("halo", 0, kFrameSideMax, 0);
  tiling.difference = table.real("difference", 0.0);
  return table.finish();
}

Status read_weights(const toml::table& source, std::string_view origin, PackageWeights& weights) {
  ManifestTable table(source, "[weights]", origin);
  read_package_file(table, weights.file, weights.sha256);
  return table.finish();
}

Result<PackageGraph> read_graph(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[graph]]", origin);
  PackageGraph graph;
  graph.component = table.text("component");
  read_package_file(table, graph.file, graph.sha256);
  graph.dtype = read_graph_dtype(table);
  graph.dynamic = table.boolean("dynamic", false);
  if (graph.dynamic) {
    graph.height_min = table.integer("height_min", 1, kFrameSideMax);
    graph.height_max = table.integer("height_max", graph.height_min, kFrameSideMax);
    graph.width_min = table.integer("width_min", 1, kFrameSideMax);
    graph.width_max = table.integer("width_max", graph.width_min, kFrameSideMax);
  } else {
    graph.height_min = graph.height_max = table.integer("height", 1, kFrameSideMax);
    graph.width_min = graph.width_max = table.integer("width", 1, kFrameSideMax);
  }
  KILN_TRY(table.finish());
  return graph;
}

Result<PackageParameter> read_parameter(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[parameter]]", origin);
  PackageParameter parameter;
  parameter.component = table.text("component");
  parameter.name = table.text("name");
  parameter.shape = table.integers("shape", kParameterRankMax, kDimensionMax);
  parameter.dtype = table.text("dtype");
  parameter.keep_dtype = table.boolean("keep_dtype", false);
  parameter.channels_last = table.boolean("channels_last", false);
  if (!element_type_from_string(parameter.dtype)) table.refuse("dtype", "is no known element type");
  if (parameter.channels_last && parameter.shape.size() != 4) {
    table.refuse("channels_last", "needs a shape of four sides");
  }
  KILN_TRY(table.finish());
  return parameter;
}

void read_head(ManifestTable& table, PackageManifest& manifest) {
  const std::string kind = table.text("kind");
  manifest.kind = kind == "module" ? PackageKind::kModule : PackageKind::kUpscaler;
  if (kind != "module" && kind != "upscaler") table.refuse("kind", "must be \"upscaler\" or \"module\"");
  manifest.name = table.text("name");
  manifest.architecture = table.text("architecture", false);
  manifest.source_sha256 = table.text("source_sha256", false);
  manifest.scale = table.integer("scale", 1, kScaleMax);
  manifest.channels = table.integer("channels", 3, 3, 3);
  manifest.size_multiple = table.integer("size_multiple", 1, kFrameSideMax, 1);
  manifest.size_minimum = table.integer("size_minimum", 1, kFrameSideMax, 1);
  manifest.size_square = table.boolean("size_square", false);
  manifest.frames_before = table.integer("frames_before", 0, kNeighbourFramesMax, 0);
  manifest.frames_after = table.integer("frames_after", 0, kNeighbourFramesMax, 0);
}

// Beside clips it has nothing in common with the others: whoever asks for one of them cannot use it.
Status refuse_generator(const toml::table& document, std::string_view origin) {
  if (document["kind"].value_exact<std::string>() != "generator") return {};
  return fail(input_refused("{}: a text-to-video model, which takes no clips: name the package of an upscaler or a module",
                            origin));
}

Result<PackageManifest> read_document(const toml::table& document, std::string_view origin) {
  KILN_TRY(check_package_version(document, origin));
  KILN_TRY(refuse_generator(document, origin));
  PackageManifest manifest;
  ManifestTable table(document, "the manifest", origin);
  (void)table.integer("format_version", kPackageFormatVersion, kPackageFormatVersion);
  read_head(table, manifest);
  const toml::table* tiling = table.table("tiling");
  const toml::table* weights = table.table("weights");
  const auto graphs = table.tables("graph", kPackageGraphsMax);
  const auto parameters = table.tables("parameter", kPackageParametersMax);
  KILN_TRY(table.finish());
  KILN_TRY(read_tiling(*tiling, origin, manifest.tiling));
  KILN_TRY(read_weights(*weights, origin, manifest.weights));
  for (const toml::table* source : graphs) {
    KILN_TRY_ASSIGN(PackageGraph graph, read_graph(*source, origin));
    manifest.graphs.push_back(std::move(graph));
  }
  for (const toml::table* source : parameters) {
    KILN_TRY_ASSIGN(PackageParameter parameter, read_parameter(*source, origin));
    manifest.parameters.push_back(std::move(parameter));
  }
  if (manifest.graphs.empty()) return fail(input_refused("{}: the package has no graph", origin));
  return manifest;
}

}  // namespace

std::string_view to_string(GraphDtype dtype) {
  switch (dtype) {
    case GraphDtype::kFloat32: return "float32";
    case GraphDtype::kFloat16: return "float16";
    case GraphDtype::kBfloat16: return "bfloat16";
  }
  return "unknown";
}

Result<GraphDtype> graph_dtype_from_string(std::string_view name) {
  for (const GraphDtype dtype : {GraphDtype::kFloat32, GraphDtype::kFloat16, GraphDtype::kBfloat16}) {
    if (name == to_string(dtype)) return dtype;
  }
  return fail(input_refused("unknown element type '{}'", name));
}

const PackageGraph* PackageManifest::find_graph(GraphDtype dtype, std::int64_t height,
                                                std::int64_t width) const {
  const PackageGraph* best = nullptr;
  for (const PackageGraph& graph : graphs) {
    if (graph.dtype != dtype || !graph.takes(height, width)) continue;
    if (best == nullptr || (best->dynamic && !graph.dynamic)) best = &graph;
  }
  return best;
}

Result<PackageManifest> parse_package_manifest(std::string_view text, std::string_view origin) {
  if (text.size() > kManifestBytesMax) {
    return fail(input_refused("{}: {} bytes, a manifest has at most {}", origin, text.size(),
                              kManifestBytesMax));
  }
  try {
    return read_document(toml::parse(text), origin);
  } catch (const toml::parse_error& error) {
    return fail(input_refused("{}, line {}: not TOML: {}", origin, error.source().begin.line,
                              error.description()));
  }
}

}  // namespace kiln::sharding
