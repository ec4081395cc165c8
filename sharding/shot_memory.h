// How much memory a shot takes, before anything is loaded: from the manifest's parameters and the shapes that are written in
// its graphs. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/generator_manifest.h"
#include "sharding/shot_rules.h"

namespace kiln::sharding {

inline constexpr std::int64_t kShotTextTokens = 512;  // of a prompt, padding included

// A shot goes through three stages, each with weights of its own that are let go of at its end:
//   text     the larger of the embedding and one block, and what one run of it takes, for both prompts at once
//   steps    stem, head and all blocks of one expert, and what the hungriest run of these takes
//   decode   the decoder, and what the hungrier of its two graphs takes for one latent frame, its caches included
// and what stays between them: latents, states of the text, frames on their way to the encoder.
struct ShotNeed {
  std::uint64_t text_bytes = 0;
  std::uint64_t steps_bytes = 0;
  std::uint64_t decode_bytes = 0;

  [[nodiscard]] std::uint64_t peak_bytes() const;
  [[nodiscard]] std::string_view hungriest() const;  // "text", "steps", "decode"
};

// Of one repetition of a component, in a graph of that dtype.
[[nodiscard]] std::uint64_t component_weights_bytes(const GeneratorManifest& manifest, std::string_view component, GraphDtype dtype);
// In what the model can be rendered, each once: what text encoder and transformer have graphs of.
[[nodiscard]] std::vector<GraphDtype> dtypes_of(const GeneratorManifest& manifest);

// What each part computes in.
struct ShotDtypes {
  GraphDtype text = GraphDtype::kFloat32;
  GraphDtype transformer = GraphDtype::kFloat32;
  GraphDtype vae = GraphDtype::kFloat32;
};
// The decoder in float32, as diffusers' users run it, where the package has such graphs.
[[nodiscard]] ShotDtypes shot_dtypes(const GeneratorManifest& manifest, GraphDtype dtype);

// The graph of a component. Valid until the next call.
using GraphOfComponent = std::function<Result<const ExportedGraph*>(std::string_view component, GraphDtype dtype)>;
[[nodiscard]] Result<ShotNeed> shot_need(const GeneratorManifest& manifest, GraphDtype dtype, const ShotSize& size,
                                         const GraphOfComponent& graph_of);

}  // namespace kiln::sharding
