// The manifest of a model package, read from the text of its manifest.toml. Pure: text in, values out.
// Unknown keys, wrong types and values out of bounds are errors that name the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sharding/tile_planner.h"

namespace kiln::sharding {

inline constexpr std::int64_t kPackageFormatVersion = 1;
inline constexpr std::uint64_t kManifestBytesMax = std::uint64_t{8} << 20U;
inline constexpr std::int64_t kScaleMax = 16;
inline constexpr std::int64_t kNeighbourFramesMax = 64;
inline constexpr std::size_t kPackageGraphsMax = 4096;
inline constexpr std::size_t kPackageParametersMax = 65536;
inline constexpr std::size_t kParameterRankMax = 8;

enum class PackageKind { kUpscaler, kModule };

// What a graph computes in.
enum class GraphDtype { kFloat32, kFloat16, kBfloat16 };
[[nodiscard]] std::string_view to_string(GraphDtype dtype);
[[nodiscard]] Result<GraphDtype> graph_dtype_from_string(std::string_view name);

struct Tiling {
  TilingKind kind = TilingKind::kWhole;
  std::int64_t halo = 0;     // input pixels
  double difference = 0.0;   // measured maximum output difference with that halo
};

struct PackageWeights {
  std::string file;    // relative to the package, no "..", no leading "/"
  std::string sha256;  // 64 lower-case hex digits
};

struct PackageGraph {
  std::string component;
  std::string file;
  std::string sha256;
  GraphDtype dtype = GraphDtype::kFloat32;
  bool dynamic = false;
  // Dynamic: the bounds of both sides. Static: min == max == the graph's own size.
  std::int64_t height_min = 0;
  std::int64_t height_max = 0;
  std::int64_t width_min = 0;
  std::int64_t width_max = 0;

  [[nodiscard]] bool takes(std::int64_t height, std::int64_t width) const {
    return height >= height_min && height <= height_max && width >= width_min && width <= width_max;
  }
};

// One graph input after the frames.
struct PackageParameter {
  std::string component;
  std::string name;  // of the tensor in the safetensors file
  std::vector<std::int64_t> shape;
  std::string dtype;  // as stored: float32, float16, bfloat16, float64, int64, int32, int16, int8, uint8, bool
  bool keep_dtype = false;
  bool channels_last = false;
};

struct PackageManifest {
  PackageKind kind = PackageKind::kUpscaler;
  std::string name;
  std::string architecture;
  std::string source_sha256;
  std::int64_t scale = 1;
  std::int64_t channels = 3;
  std::int64_t size_multiple = 1;
  std::int64_t size_minimum = 1;
  bool size_square = false;
  std::int64_t frames_before = 0;
  std::int64_t frames_after = 0;
  Tiling tiling;
  PackageWeights weights;
  std::vector<PackageGraph> graphs;
  std::vector<PackageParameter> parameters;

  [[nodiscard]] std::int64_t frames() const { return frames_before + 1 + frames_after; }
  // The graph of `dtype` that takes this input size: a static one of exactly that size first, then a
  // dynamic one; nullptr where there is none.
  [[nodiscard]] const PackageGraph* find_graph(GraphDtype dtype, std::int64_t height,
                                               std::int64_t width) const;
};

// `origin` names the file in messages.
[[nodiscard]] Result<PackageManifest> parse_package_manifest(std::string_view text,
                                                             std::string_view origin);

}  // namespace kiln::sharding
