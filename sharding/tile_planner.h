// Chooses one tile shape for a whole clip, and the windows of a frame. Pure.
//
// A frame is first thought of as extended to the right and below by reflection ("padded frame": up
// to the network's size multiple, or to one tile where the tile is larger). All windows have the
// tile's shape and lie in the padded frame; their origins are multiples of the size multiple. Each
// pixel of the frame is kept from exactly one window, in which it is at least `halo` pixels from
// every edge that is no edge of the padded frame.
//
// Scaling the model's output down is done on the assembled frame, after the last tile: 1280x720
// floats are 11 MB, and a resampling filter then needs no halo and has one phase for the frame.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::sharding {

// More tiles than this along one axis are never planned: the halo would be most of the work.
inline constexpr int kTilesPerAxisMax = 64;
// Larger frames are refused before anything is computed from their size.
inline constexpr int kFrameSideMax = 65'536;

enum class TilingKind {
  kExact,        // outside tile + halo no pixel matters
  kApproximate,  // what matters beyond the halo is known and small
  kWhole,        // never tiled
};

[[nodiscard]] std::string_view to_string(TilingKind kind);
[[nodiscard]] Result<TilingKind> tiling_kind_from_string(std::string_view text);

struct TileShape {
  int height = 0;
  int width = 0;
  auto operator<=>(const TileShape&) const = default;
};

// Shapes that one graph of the package takes. A static graph has min == max.
struct GraphShapeRange {
  int height_min = 0;
  int height_max = 0;
  int width_min = 0;
  int width_max = 0;

  [[nodiscard]] bool is_static() const {
    return height_min == height_max && width_min == width_max;
  }
  [[nodiscard]] bool holds(TileShape shape) const {
    return shape.height >= height_min && shape.height <= height_max && shape.width >= width_min &&
           shape.width <= width_max;
  }
};

// What the package's manifest says ([tiling] and size_*).
struct TilingRules {
  TilingKind kind = TilingKind::kWhole;
  int halo = 0;  // input pixels
  int size_multiple = 1;
  int size_minimum = 1;
  bool size_square = false;
};

struct TileRequest {
  int frame_height = 0;
  int frame_width = 0;
  TilingRules rules;
  std::vector<GraphShapeRange> graphs;  // of one dtype; earlier ones win ties
  // Peak of activations for one input of this shape; empty: nothing is known and everything fits.
  std::function<std::uint64_t(TileShape)> activation_bytes;
  std::uint64_t memory_limit_bytes = 0;  // for activations; 0: no limit
  std::string more_memory = "raise run.activation_mib if there is more memory";  // of a refusal: what would help
  std::optional<TileShape> only;         // a shape that was planned before: no other is considered
};

// All in input pixels. The window is [y, y + shape.height) x [x, x + shape.width) of the padded
// frame; the kept part is in coordinates of the frame. Times the model's scale, both hold for the
// output.
struct TileWindow {
  int y = 0;
  int x = 0;
  int pad_bottom = 0;  // rows of the window below the frame, to be filled by reflection
  int pad_right = 0;
  int keep_y = 0;
  int keep_x = 0;
  int keep_height = 0;
  int keep_width = 0;
  bool operator==(const TileWindow&) const = default;
};

struct TilePlan {
  TileShape shape;
  std::size_t graph_index = 0;      // into TileRequest::graphs
  std::vector<TileWindow> windows;  // row by row
  std::uint64_t activation_bytes = 0;
  std::string reason;
  std::vector<std::string> rejected;  // cheaper shapes that were not taken, each with its reason

  [[nodiscard]] bool is_tiled() const { return windows.size() > 1; }
};

// The cheapest shape (fewest computed pixels) that fits; or a refusal that says what would fit.
[[nodiscard]] Result<TilePlan> plan_tiles(const TileRequest& request);

// The windows of one frame for a shape already chosen. The shape must be one that plan_tiles() may
// return.
[[nodiscard]] std::vector<TileWindow> tile_windows(int frame_height, int frame_width,
                                                   TileShape shape, const TilingRules& rules);

// The pixel of an axis of `size` that stands at `index` >= 0 of the padded axis: mirrored at the
// last pixel without repeating it (… n-2, n-1, n-2 …), as often as needed. An axis of one pixel
// repeats it.
[[nodiscard]] int reflected_index(int index, int size);

}  // namespace kiln::sharding
