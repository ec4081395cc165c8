#include "sharding/shot_memory.h"

#include <algorithm>

#include "sharding/graph/liveness.h"

namespace kiln::sharding {
namespace {

using Shapes = std::vector<std::vector<std::int64_t>>;

constexpr std::uint64_t kFloatBytes = 4;
constexpr std::uint64_t kLatentsHeld = 6;  // the latents, the two predictions, what they make, and two that the solver looks back at

// The first inputs say how large all others are.
Result<std::uint64_t> run_bytes(const GeneratorManifest& manifest, std::string_view component, GraphDtype dtype,
                                const Shapes& first_inputs, const GraphOfComponent& graph_of) {
  const GeneratorComponent* described = manifest.find_component(component);
  if (described == nullptr) return fail(input_refused("{} has no component {}", manifest.name, component));
  KILN_TRY_ASSIGN(const ExportedGraph* graph, graph_of(component, dtype));
  const auto symbols = bind_symbols(*graph, first_inputs);
  if (!symbols) {
    return fail(input_refused("{}: the graphs of {} are not for shots as large or long as this: {}", manifest.name, component,
                              symbols.error().message));
  }
  KILN_TRY_ASSIGN(const PeakEstimate peak, peak_activation_bytes(*graph, *symbols, described->inputs.size()));
  return peak.peak_bytes;
}

bool has_graph(const GeneratorManifest& manifest, std::string_view component, GraphDtype dtype) {
  return std::any_of(manifest.graphs.begin(), manifest.graphs.end(), [&](const GeneratorGraph& graph) {
    return graph.component == component && graph.dtype == dtype;
  });
}

std::uint64_t bytes_of(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b) * static_cast<std::uint64_t>(c) * static_cast<std::uint64_t>(d) *
         kFloatBytes;
}

struct Question {
  const GeneratorManifest& manifest;
  ShotDtypes dtypes;
  LatentGrid grid;
  const GraphOfComponent& graph_of;

  [[nodiscard]] Result<std::uint64_t> run(std::string_view component, const Shapes& first_inputs) const {
    return run_bytes(manifest, component, dtype_of(component), first_inputs, graph_of);
  }
  [[nodiscard]] std::uint64_t weights(std::string_view component) const {
    return component_weights_bytes(manifest, component, dtype_of(component));
  }
  [[nodiscard]] GraphDtype dtype_of(std::string_view component) const {
    const GeneratorComponent* found = manifest.find_component(component);
    if (found == nullptr || found->part == "transformer") return dtypes.transformer;
    return found->part == "vae" ? dtypes.vae : dtypes.text;
  }
  [[nodiscard]] std::uint64_t repeat(std::string_view component) const {
    const GeneratorComponent* found = manifest.find_component(component);
    return found == nullptr ? 0 : static_cast<std::uint64_t>(found->repeat);
  }
};

// Both prompts at once.
Result<std::uint64_t> text_bytes(const Question& ask) {
  constexpr std::int64_t kPrompts = 2;
  KILN_TRY_ASSIGN(const auto embedding, ask.run("text_embedding", {{kPrompts, kShotTextTokens}}));
  KILN_TRY_ASSIGN(const auto block, ask.run("text_block", {{kPrompts, kShotTextTokens, ask.manifest.text_width}}));
  return std::max(ask.weights("text_embedding") + embedding, ask.weights("text_block") + block);
}

Result<std::uint64_t> steps_bytes(const Question& ask) {
  const GeneratorManifest& manifest = ask.manifest;
  const LatentGrid& grid = ask.grid;
  const std::int64_t width = manifest.width;
  KILN_TRY_ASSIGN(const auto stem, ask.run("stem", {{1, manifest.latent_channels, grid.frames, grid.height, grid.width}, {1},
                                                    {1, kShotTextTokens, manifest.text_width}}));
  KILN_TRY_ASSIGN(const auto block, ask.run("block", {{1, grid.tokens, width}, {1, kShotTextTokens, width}}));
  KILN_TRY_ASSIGN(const auto head, ask.run("head", {{1, grid.frames / manifest.patch[0], grid.height / manifest.patch[1],
                                                     grid.width / manifest.patch[2], width}, {1, width}}));
  return ask.weights("stem") + ask.weights("head") + ask.weights("block") * ask.repeat("block") + std::max({stem, block, head});
}

Result<std::uint64_t> decode_bytes(const Question& ask) {
  const Shapes latent = {{1, ask.manifest.latent_channels, 1, ask.grid.height, ask.grid.width}};
  KILN_TRY_ASSIGN(const auto first, ask.run("decoder_first", latent));
  KILN_TRY_ASSIGN(const auto next, ask.run("decoder_next", latent));
  return ask.weights("decoder_first") + std::max(first, next);
}

}  // namespace

std::uint64_t ShotNeed::peak_bytes() const { return std::max({text_bytes, steps_bytes, decode_bytes}); }

std::string_view ShotNeed::hungriest() const {
  if (steps_bytes == peak_bytes()) return "steps";
  return decode_bytes == peak_bytes() ? "decode" : "text";
}

std::uint64_t component_weights_bytes(const GeneratorManifest& manifest, std::string_view component, GraphDtype dtype) {
  const std::uint64_t graph_bytes = dtype == GraphDtype::kFloat32 ? 4 : 2;
  std::uint64_t sum = 0;
  for (const GeneratorParameter* parameter : manifest.parameters_of(component)) {
    std::uint64_t numbers = 1;
    for (const std::int64_t side : parameter->shape) numbers *= static_cast<std::uint64_t>(side);
    sum += numbers * (parameter->high_precision ? kFloatBytes : graph_bytes);
  }
  return sum;
}

std::vector<GraphDtype> dtypes_of(const GeneratorManifest& manifest) {
  std::vector<GraphDtype> out;
  for (const GraphDtype dtype : {GraphDtype::kFloat32, GraphDtype::kFloat16, GraphDtype::kBfloat16}) {
    const bool all = std::all_of(manifest.components.begin(), manifest.components.end(), [&](const GeneratorComponent& component) {
      return component.part == "vae" || has_graph(manifest, component.name, dtype);
    });
    if (all) out.push_back(dtype);
  }
  return out;
}

ShotDtypes shot_dtypes(const GeneratorManifest& manifest, GraphDtype dtype) {
  const bool exact = has_graph(manifest, "decoder_first", GraphDtype::kFloat32) && has_graph(manifest, "decoder_next", GraphDtype::kFloat32);
  return {dtype, dtype, exact ? GraphDtype::kFloat32 : dtype};
}

Result<ShotNeed> shot_need(const GeneratorManifest& manifest, GraphDtype dtype, const ShotSize& size, const GraphOfComponent& graph_of) {
  KILN_TRY_ASSIGN(const LatentGrid grid, latent_grid_of(manifest, size));
  const Question ask{manifest, shot_dtypes(manifest, dtype), grid, graph_of};
  ShotNeed out;
  KILN_TRY_ASSIGN(out.text_bytes, text_bytes(ask));
  KILN_TRY_ASSIGN(out.steps_bytes, steps_bytes(ask));
  KILN_TRY_ASSIGN(out.decode_bytes, decode_bytes(ask));
  const std::uint64_t latents = bytes_of(manifest.latent_channels, grid.frames, grid.height, grid.width);
  const std::uint64_t states = 2 * bytes_of(1, 1, kShotTextTokens, manifest.text_width);
  const std::uint64_t frame = bytes_of(1, 3, size.height, size.width);
  out.steps_bytes += kLatentsHeld * latents + states;
  out.decode_bytes += latents + frame * static_cast<std::uint64_t>(manifest.stride_time);
  return out;
}

}  // namespace kiln::sharding
