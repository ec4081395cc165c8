#include "sharding/package/generator_manifest.h"

#include <algorithm>
#include <toml++/toml.h>

#include "sharding/package/generator_rules.h"
#include "sharding/package/manifest_fields.h"

namespace kiln::sharding {
namespace {

constexpr std::size_t kComponentsMax = 64;
constexpr std::size_t kWeightsMax = 16;
constexpr std::size_t kValuesMax = 1024;  // inputs and outputs of a component; channels of a latent
constexpr std::int64_t kWidthMax = 1 << 24;
constexpr std::int64_t kStrideMax = 64;

Result<GeneratorComponent> read_component(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[component]]", origin);
  GeneratorComponent component;
  component.name = table.text("name");
  component.part = table.text("part");
  component.repeat = table.integer("repeat", 1, kComponentRepeatMax);
  component.inputs = table.texts("inputs", kValuesMax);
  component.outputs = table.texts("outputs", kValuesMax);
  KILN_TRY(table.finish());
  return component;
}

Result<GeneratorGraph> read_graph(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[graph]]", origin);
  GeneratorGraph graph;
  graph.component = table.text("component");
  read_package_file(table, graph.file, graph.sha256);
  graph.dtype = read_graph_dtype(table);
  KILN_TRY(table.finish());
  return graph;
}

Result<GeneratorParameter> read_parameter(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[parameter]]", origin);
  GeneratorParameter parameter;
  parameter.component = table.text("component");
  parameter.name = table.text("name");
  parameter.shape = table.integers("shape", kParameterRankMax, kDimensionMax);
  parameter.high_precision = table.boolean("high_precision", false);
  KILN_TRY(table.finish());
  return parameter;
}

Result<GeneratorWeights> read_weights(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[weights]]", origin);
  GeneratorWeights weights{table.text("name"), table.text("part")};
  KILN_TRY(table.finish());
  return weights;
}

Result<GeneratorFile> read_file(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[file]]", origin);
  GeneratorFile file;
  read_package_file(table, file.file, file.sha256);
  file.bytes = static_cast<std::uint64_t>(table.integer("bytes", 0, kDimensionMax));
  KILN_TRY(table.finish());
  return file;
}

Result<GeneratorTensor> read_tensor(const toml::table& source, std::string_view origin) {
  ManifestTable table(source, "[[tensor]]", origin);
  GeneratorTensor tensor;
  tensor.weights = table.text("weights");
  tensor.component = table.text("component");
  tensor.index = table.integer("index", 0, kComponentRepeatMax - 1);
  tensor.parameter = table.text("parameter");
  tensor.file = table.text("file");
  tensor.name = table.text("name");
  tensor.scale = table.text("scale", false);
  if (const auto dtype = element_type_from_string(table.text("dtype"))) {
    tensor.dtype = *dtype;
  } else {
    table.refuse("dtype", "is no known element type");
  }
  KILN_TRY(table.finish());
  return tensor;
}

void read_head(ManifestTable& table, GeneratorManifest& manifest) {
  (void)table.integer("format_version", kPackageFormatVersion, kPackageFormatVersion);
  if (table.text("kind") != "generator") table.refuse("kind", "must be \"generator\"");
  manifest.family = table.text("family");
  if (manifest.family != "wan") table.refuse("family", "must be \"wan\"");
  manifest.name = table.text("name");
  manifest.architecture = table.text("architecture", false);
  const double ratio = table.real("boundary_ratio", 0.0);
  if (ratio > 0.0) manifest.boundary_ratio = ratio;
  if (ratio >= 1.0) table.refuse("boundary_ratio", "must lie between 0 and 1");
}

Status read_scheduler(const toml::table& source, std::string_view origin, GeneratorManifest& manifest) {
  ManifestTable table(source, "[scheduler]", origin);
  manifest.scheduler = table.text("kind");
  if (manifest.scheduler != "unipc" && manifest.scheduler != "euler") {
    table.refuse("kind", "must be \"unipc\" or \"euler\"");
  }
  manifest.shift = table.real("shift", 1.0);
  return table.finish();
}

Status read_sizes(const toml::table& text, const toml::table& transformer, std::string_view origin,
                  GeneratorManifest& manifest) {
  ManifestTable words(text, "[text]", origin);
  manifest.text_width = words.integer("width", 1, kWidthMax);
  manifest.text_vocabulary = words.integer("vocabulary", 1, kWidthMax);
  KILN_TRY(words.finish());
  ManifestTable table(transformer, "[transformer]", origin);
  manifest.width = table.integer("width", 1, kWidthMax);
  manifest.heads = table.integer("heads", 1, manifest.width);
  manifest.feed_forward = table.integer("feed_forward", 1, kWidthMax);
  manifest.patch = table.integers("patch", 3, kStrideMax);
  manifest.grid_max = table.integer("grid_max", 1, kWidthMax);
  const auto is_zero = [](std::int64_t side) { return side == 0; };
  if (manifest.patch.size() != 3 || std::any_of(manifest.patch.begin(), manifest.patch.end(), is_zero)) {
    table.refuse("patch", "must hold three numbers above zero");
  }
  return table.finish();
}

Status read_latents(const toml::table& source, std::string_view origin, GeneratorManifest& manifest) {
  ManifestTable table(source, "[latents]", origin);
  manifest.latent_channels = table.integer("channels", 1, static_cast<std::int64_t>(kValuesMax));
  manifest.stride_time = table.integer("stride_time", 1, kStrideMax);
  manifest.stride_space = table.integer("stride_space", 1, kStrideMax);
  manifest.latent_mean = table.reals("mean", kValuesMax);
  manifest.latent_std = table.reals("std", kValuesMax);
  const auto channels = static_cast<std::size_t>(manifest.latent_channels);
  if (manifest.latent_mean.size() != channels) table.refuse("mean", "must hold a number for each channel");
  if (manifest.latent_std.size() != channels) table.refuse("std", "must hold a number for each channel");
  return table.finish();
}

// All tables of one list, each read by `read`.
template <typename Item, typename Read>
Status read_all(const std::vector<const toml::table*>& sources, std::string_view origin, std::vector<Item>& items,
                Read read) {
  for (const toml::table* source : sources) {
    KILN_TRY_ASSIGN(Item item, read(*source, origin));
    items.push_back(std::move(item));
  }
  return {};
}

Result<GeneratorManifest> read_document(const toml::table& document, std::string_view origin) {
  KILN_TRY(check_package_version(document, origin));
  GeneratorManifest manifest;
  ManifestTable table(document, "the manifest", origin);
  read_head(table, manifest);
  const toml::table* scheduler = table.table("scheduler");
  const toml::table* tokenizer = table.table("tokenizer");
  const toml::table* text = table.table("text");
  const toml::table* transformer = table.table("transformer");
  const toml::table* latents = table.table("latents");
  const auto weights = table.tables("weights", kWeightsMax);
  const auto files = table.tables("file", kGeneratorFilesMax);
  const auto components = table.tables("component", kComponentsMax);
  const auto graphs = table.tables("graph", kPackageGraphsMax);
  const auto parameters = table.tables("parameter", kPackageParametersMax);
  const auto tensors = table.tables("tensor", kGeneratorTensorsMax);
  KILN_TRY(table.finish());
  KILN_TRY(read_scheduler(*scheduler, origin, manifest));
  ManifestTable tokens(*tokenizer, "[tokenizer]", origin);
  read_package_file(tokens, manifest.tokenizer.file, manifest.tokenizer.sha256);
  KILN_TRY(tokens.finish());
  KILN_TRY(read_sizes(*text, *transformer, origin, manifest));
  KILN_TRY(read_latents(*latents, origin, manifest));
  KILN_TRY(read_all(weights, origin, manifest.weights, read_weights));
  KILN_TRY(read_all(files, origin, manifest.files, read_file));
  KILN_TRY(read_all(components, origin, manifest.components, read_component));
  KILN_TRY(read_all(graphs, origin, manifest.graphs, read_graph));
  KILN_TRY(read_all(parameters, origin, manifest.parameters, read_parameter));
  KILN_TRY(read_all(tensors, origin, manifest.tensors, read_tensor));
  KILN_TRY(check_generator_rules(manifest, origin));
  return manifest;
}

}  // namespace

const GeneratorComponent* GeneratorManifest::find_component(std::string_view component) const {
  const auto found = std::find_if(components.begin(), components.end(),
                                  [&](const GeneratorComponent& item) { return item.name == component; });
  return found == components.end() ? nullptr : &*found;
}

std::vector<const GeneratorParameter*> GeneratorManifest::parameters_of(std::string_view component) const {
  std::vector<const GeneratorParameter*> found;
  for (const GeneratorParameter& parameter : parameters) {
    if (parameter.component == component) found.push_back(&parameter);
  }
  return found;
}

Result<GeneratorManifest> parse_generator_manifest(std::string_view text, std::string_view origin) {
  if (text.size() > kManifestBytesMax) {
    return fail(input_refused("{}: {} bytes, a manifest has at most {}", origin, text.size(), kManifestBytesMax));
  }
  try {
    return read_document(toml::parse(text), origin);
  } catch (const toml::parse_error& error) {
    return fail(input_refused("{}, line {}: not TOML: {}", origin, error.source().begin.line, error.description()));
  }
}

}  // namespace kiln::sharding
