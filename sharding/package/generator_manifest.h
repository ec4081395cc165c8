// The manifest of a text-to-video model's package, read from the text of its manifest.toml. Pure: text in,
// values out. Every tensor of every component is in it, exactly once for each set of weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/package_manifest.h"

namespace kiln::sharding {

inline constexpr std::int64_t kComponentRepeatMax = 4096;
inline constexpr std::size_t kGeneratorFilesMax = 4096;
inline constexpr std::size_t kGeneratorTensorsMax = 65536;

// A part of the model with its own graph. Its graphs take `inputs`, then every parameter of the manifest.
struct GeneratorComponent {
  std::string name;
  std::string part;         // "text_encoder", "transformer", "vae"
  std::int64_t repeat = 1;  // how often it runs one after the other, each time with other tensors
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

struct GeneratorGraph {
  std::string component;
  GraphDtype dtype = GraphDtype::kFloat32;
  std::string file;
  std::string sha256;
};

struct GeneratorParameter {
  std::string component;
  std::string name;
  std::vector<std::int64_t> shape;
  bool high_precision = false;  // float32 in a graph of whatever dtype
};

// One checkpoint of a part: both experts of Wan 2.2 are weights of the part "transformer".
struct GeneratorWeights {
  std::string name;
  std::string part;
};

struct GeneratorFile {
  std::string file;  // inside the package, where it may be a link
  std::uint64_t bytes = 0;
  std::string sha256;
};

// Where one parameter of one repetition lies.
struct GeneratorTensor {
  std::string weights;
  std::string component;
  std::int64_t index = 0;
  std::string parameter;
  std::string file;
  std::string name;   // in that file
  ElementType dtype = ElementType::kFloat32;  // as stored
  std::string scale;  // name of the number by which stored values are multiplied; empty: none
};

struct GeneratorManifest {
  std::string family;
  std::string name;
  std::string architecture;
  std::optional<double> boundary_ratio;  // with two experts: the part of the noise at which the second takes over
  std::string scheduler;                 // "unipc", "euler"
  double shift = 1.0;                    // unless a job says another
  PackageWeights tokenizer;
  std::int64_t text_width = 0;
  std::int64_t text_vocabulary = 0;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t feed_forward = 0;
  std::vector<std::int64_t> patch;  // frames, rows, columns of latents that are one token
  std::int64_t grid_max = 0;        // tokens in each of the three directions
  std::int64_t latent_channels = 0;
  std::int64_t stride_time = 0;   // frames of a later latent frame; the first is one frame
  std::int64_t stride_space = 0;  // pixels of a latent's side
  std::vector<double> latent_mean;
  std::vector<double> latent_std;
  std::vector<GeneratorWeights> weights;
  std::vector<GeneratorFile> files;
  std::vector<GeneratorComponent> components;
  std::vector<GeneratorGraph> graphs;
  std::vector<GeneratorParameter> parameters;  // of each component in the order of its graphs' inputs
  std::vector<GeneratorTensor> tensors;

  [[nodiscard]] const GeneratorComponent* find_component(std::string_view name) const;
  [[nodiscard]] std::vector<const GeneratorParameter*> parameters_of(std::string_view component) const;
};

// `origin` names the file in messages.
[[nodiscard]] Result<GeneratorManifest> parse_generator_manifest(std::string_view text, std::string_view origin);

// The graph takes and gives what the manifest says of its component, in the manifest's shapes and precision.
[[nodiscard]] Status check_generator_graph(const GeneratorManifest& manifest, const GeneratorGraph& entry,
                                           const ExportedGraph& graph);

}  // namespace kiln::sharding
