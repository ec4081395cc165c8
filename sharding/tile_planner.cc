#include "sharding/tile_planner.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "sharding/tile_axis.h"

namespace kiln::sharding {
namespace {

constexpr std::size_t kRejectedMax = 8;  // shapes listed in a plan
// A tile that is suggested in a refusal is this many halos wide: two are overlap, the rest is work.
constexpr int kSuggestedHalos = 6;

struct Candidate {
  TileShape shape;
  std::size_t graph_index = 0;
  std::int64_t windows = 0;

  // Computed pixels first; then fewer windows; then the order of the package.
  [[nodiscard]] auto order() const {
    const std::int64_t pixels = windows * shape.height * shape.width;
    return std::tuple(pixels, windows, graph_index, shape.height, shape.width);
  }
};

TileShape padded_frame(const TileRequest& request) {
  const TilingRules& rules = request.rules;
  TileShape shape{
      rounded_up(std::max(request.frame_height, rules.size_minimum), rules.size_multiple),
      rounded_up(std::max(request.frame_width, rules.size_minimum), rules.size_multiple)};
  if (rules.size_square) shape.height = shape.width = std::max(shape.height, shape.width);
  return shape;
}

bool network_takes(TileShape shape, const TilingRules& rules) {
  return shape.height % rules.size_multiple == 0 && shape.width % rules.size_multiple == 0 &&
         std::min(shape.height, shape.width) >= rules.size_minimum &&
         (!rules.size_square || shape.height == shape.width);
}

// Tile lengths that cover an axis in 1, 2, 3 … windows with nothing to spare.
std::vector<int> axis_lengths(int padded, int least, const TilingRules& rules) {
  const int overlap = rounded_up(2 * rules.halo, rules.size_multiple);
  std::vector<int> lengths;
  for (int count = 1; count <= kTilesPerAxisMax; ++count) {
    const int fair = (padded + (count - 1) * overlap + count - 1) / count;
    const int length = rounded_up(std::max(fair, least), rules.size_multiple);
    if (count > 1 && (axis_stride(length, rules) <= 0 || length >= padded)) break;
    if (lengths.empty() || length < lengths.back()) lengths.push_back(length);
  }
  return lengths;
}

class TileSearch {
 public:
  explicit TileSearch(const TileRequest& request)
      : request_(request), padded_(padded_frame(request)) {}

  Result<TilePlan> run() {
    for (std::size_t i = 0; i < request_.graphs.size(); ++i) add_graph(i);
    std::sort(candidates_.begin(), candidates_.end(),
              [](const Candidate& a, const Candidate& b) { return a.order() < b.order(); });
    for (const Candidate& candidate : candidates_) {
      if (auto bytes = fits(candidate.shape)) return plan_of(candidate, *bytes);
    }
    return fail(refusal());
  }

 private:
  void add_graph(std::size_t index) {
    const GraphShapeRange& graph = request_.graphs[index];
    if (request_.rules.kind == TilingKind::kWhole) {
      if (graph.holds(padded_)) add(padded_, index);
    } else if (graph.is_static()) {
      add({graph.height_min, graph.width_min}, index);
    } else {
      add_dynamic(graph, index);
    }
  }

  void add_dynamic(const GraphShapeRange& graph, std::size_t index) {
    const std::vector<int> heights = axis_lengths(
        padded_.height, std::max(graph.height_min, request_.rules.size_minimum), request_.rules);
    const std::vector<int> widths = axis_lengths(
        padded_.width, std::max(graph.width_min, request_.rules.size_minimum), request_.rules);
    for (const int height : heights) {
      if (request_.rules.size_square) {
        add_if_held({height, height}, graph, index);
        continue;
      }
      for (const int width : widths) add_if_held({height, width}, graph, index);
    }
  }

  void add_if_held(TileShape shape, const GraphShapeRange& graph, std::size_t index) {
    if (graph.holds(shape)) add(shape, index);
  }

  void add(TileShape shape, std::size_t graph_index) {
    if (request_.only && *request_.only != shape) return;
    const TilingRules& rules = request_.rules;
    if (!network_takes(shape, rules)) {
      reject(shape, "the network does not take this size");
      return;
    }
    const int rows = axis_window_count(request_.frame_height, shape.height, rules);
    const int columns = axis_window_count(request_.frame_width, shape.width, rules);
    if (rows > kTilesPerAxisMax || columns > kTilesPerAxisMax) {
      reject(shape, fmt::format("too small for a halo of {}", rules.halo));
      return;
    }
    candidates_.push_back({shape, graph_index, std::int64_t{rows} * columns});
  }

  // Activations of this shape, or nothing where they exceed the limit.
  std::optional<std::uint64_t> fits(TileShape shape) {
    if (!request_.activation_bytes) return 0;
    if (request_.memory_limit_bytes > 0) {
      // Activations grow with both sides: what is no smaller than a shape that failed is not asked
      // about.
      for (const TileShape& failed : too_large_) {
        if (shape.height >= failed.height && shape.width >= failed.width) return std::nullopt;
      }
    }
    const std::uint64_t bytes = request_.activation_bytes(shape);
    if (request_.memory_limit_bytes == 0 || bytes <= request_.memory_limit_bytes) return bytes;
    too_large_.push_back(shape);
    if (!least_ || bytes < least_->second) least_ = {shape, bytes};
    reject(shape, fmt::format("needs {} for activations, {} are allowed", mib(bytes),
                              mib(request_.memory_limit_bytes)));
    return std::nullopt;
  }

  void reject(TileShape shape, const std::string& why) {
    if (rejected_.size() < kRejectedMax)
      rejected_.push_back(fmt::format("{}x{}: {}", shape.height, shape.width, why));
  }

  TilePlan plan_of(const Candidate& candidate, std::uint64_t bytes) {
    TilePlan plan;
    plan.shape = candidate.shape;
    plan.graph_index = candidate.graph_index;
    plan.activation_bytes = bytes;
    plan.windows =
        tile_windows(request_.frame_height, request_.frame_width, plan.shape, request_.rules);
    plan.rejected = std::move(rejected_);
    const bool padded =
        plan.shape.height > request_.frame_height || plan.shape.width > request_.frame_width;
    plan.reason = plan.is_tiled()
                      ? fmt::format("{} tiles of {}x{}, halo {} ({}): the least work that fits",
                                    plan.windows.size(), plan.shape.height, plan.shape.width,
                                    request_.rules.halo, to_string(request_.rules.kind))
                      : fmt::format("one {}x{} input holds the frame{}", plan.shape.height,
                                    plan.shape.width, padded ? ", padded by reflection" : "");
    return plan;
  }

  [[nodiscard]] Error refusal() const {
    const std::string frame =
        fmt::format("frames of {}x{}", request_.frame_width, request_.frame_height);
    if (least_) {
      return make_error(ErrorCode::kResourceExhausted, ExitCode::kInputRefused,
                        "{} do not fit: the smallest input of this package, {}x{}, needs {} for "
                        "activations and {} are "
                        "allowed; {}{}",
                        frame, least_->first.height, least_->first.width, mib(least_->second),
                        mib(request_.memory_limit_bytes), request_.more_memory,
                        request_.rules.kind == TilingKind::kWhole
                            ? ", or smaller frames: this network cannot be tiled"
                            : fmt::format(", or {}", import_again(small_tile())));
    }
    if (request_.rules.kind == TilingKind::kWhole) {
      return input_refused(
          "{}: this network must see whole frames and the package has no graph for {}x{} (height x "
          "width); {}",
          frame, padded_.height, padded_.width, import_again(padded_));
    }
    return input_refused(
        "{}: the package has no graph of a usable shape (halo {}, size multiple {}, at least "
        "{}{}); {}",
        frame, request_.rules.halo, request_.rules.size_multiple, request_.rules.size_minimum,
        rejected_.empty() ? "" : "; " + rejected_.front(), import_again(small_tile()));
  }

  // A tile in which the halo is a small part, no larger than the frame.
  [[nodiscard]] TileShape small_tile() const {
    const TilingRules& rules = request_.rules;
    const int side = rounded_up(std::max({kSuggestedHalos * rules.halo, rules.size_minimum, 64}),
                                rules.size_multiple);
    TileShape tile{std::min(side, padded_.height), std::min(side, padded_.width)};
    if (rules.size_square) tile.height = tile.width = std::min(side, padded_.height);
    return tile;
  }

  static std::string import_again(TileShape shape) {
    return fmt::format("import it again with --tile-shape {}x{}", shape.height, shape.width);
  }

  static std::string mib(std::uint64_t bytes) {
    return fmt::format("{} MiB", (bytes + (1U << 20U) - 1) >> 20U);
  }

  const TileRequest& request_;
  TileShape padded_;
  std::vector<Candidate> candidates_;
  std::vector<TileShape> too_large_;
  std::vector<std::string> rejected_;
  std::optional<std::pair<TileShape, std::uint64_t>> least_;
};

constexpr std::array<std::pair<TilingKind, std::string_view>, 3> kTilingNames{
    {{TilingKind::kExact, "exact"},
     {TilingKind::kApproximate, "approximate"},
     {TilingKind::kWhole, "whole"}}};

Status check(const TileRequest& request) {
  const TilingRules& rules = request.rules;
  if (request.frame_height <= 0 || request.frame_width <= 0 ||
      request.frame_height > kFrameSideMax || request.frame_width > kFrameSideMax) {
    return fail(input_refused("frames of {}x{} are not handled: sides must be 1 to {}",
                              request.frame_width, request.frame_height, kFrameSideMax));
  }
  const auto in_range = [](int value, int least) {
    return value >= least && value <= kFrameSideMax;
  };
  if (!in_range(rules.halo, 0) || !in_range(rules.size_multiple, 1) ||
      !in_range(rules.size_minimum, 1)) {
    return fail(input_refused(
        "the package's manifest is damaged: halo {}, size multiple {}, size minimum {}", rules.halo,
        rules.size_multiple, rules.size_minimum));
  }
  for (const GraphShapeRange& graph : request.graphs) {
    if (!in_range(graph.height_min, 1) || !in_range(graph.width_min, 1) ||
        graph.height_max < graph.height_min || graph.width_max < graph.width_min) {
      return fail(input_refused(
          "the package's manifest is damaged: a graph for heights {} to {} and widths {} to {}",
          graph.height_min, graph.height_max, graph.width_min, graph.width_max));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(TilingKind kind) {
  for (const auto& [value, name] : kTilingNames) {
    if (value == kind) return name;
  }
  KILN_CHECK(false, "tiling kind {}", static_cast<int>(kind));
}

Result<TilingKind> tiling_kind_from_string(std::string_view text) {
  for (const auto& [value, name] : kTilingNames) {
    if (name == text) return value;
  }
  return fail(input_refused("tiling kind \"{}\" is none of exact, approximate, whole", text));
}

Result<TilePlan> plan_tiles(const TileRequest& request) {
  KILN_TRY(check(request));
  return TileSearch(request).run();
}

}  // namespace kiln::sharding
