#include "worker/tile_choice.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/log.h"
#include "sharding/card_memory.h"
#include "sharding/graph/liveness.h"
#include "sharding/package/package_inputs.h"
#include "sharding/package/package_tiling.h"

namespace kiln::worker {
namespace {

// Tiles whose activations are so many times less than the least of those that lanes have room for: a lane that turns out to have less,
// since others use its memory, has something to go on with. Few: each one that is too large still costs a try of the task.
constexpr std::array<std::uint64_t, 2> kPartsBelowLeast = {3, 9};

struct RunNeed {
  std::uint64_t host_bytes = 0;  // at the peak of the walk
  std::uint64_t card_bytes = 0;  // that LibTorch's allocator has for it on a card
};

// What tiles of one dtype take. No shape's need depends on a budget: each is walked once.
class RunNeeds {
 public:
  RunNeeds(const ModelPackage& package, sharding::GraphDtype dtype, const sharding::CardClip& clip)
      : package_(package), clip_(clip), graphs_(package.graphs_of(dtype)), shaped_(sharding::graphs_of(package.manifest, dtype)) {}

  [[nodiscard]] const ModelPackage::Graph& graph(std::size_t index) const { return *graphs_[index]; }
  [[nodiscard]] const std::vector<sharding::GraphShapeRange>& shapes() const { return shaped_.shapes; }
  const RunNeed& of(sharding::TileShape shape) {
    const auto known = known_.find(shape);
    return known != known_.end() ? known->second : known_[shape] = find(shape);
  }

 private:
  // Nothing is known of a shape that no graph walks with: it counts as none, as before there was a walk.
  [[nodiscard]] RunNeed find(sharding::TileShape shape) const {
    for (std::size_t i = 0; i < shaped_.shapes.size(); ++i) {
      if (!shaped_.shapes[i].holds(shape)) continue;
      if (const auto need = walk(*graphs_[i], shape)) return *need;
    }
    return {};
  }

  [[nodiscard]] std::optional<RunNeed> walk(const ModelPackage::Graph& graph, sharding::TileShape shape) const {
    const auto symbols = symbols_of(package_, graph, shape.height, shape.width);
    if (!symbols) return not_walked(symbols.error());
    const auto peak = sharding::peak_activation_bytes(graph.graph, *symbols, 1);
    if (!peak) return not_walked(peak.error());
    const auto steps = sharding::memory_steps(graph.graph, *symbols);
    if (!steps) return not_walked(steps.error());
    sharding::CardHoldings tiles;
    const bool whole = shape.height == clip_.frame.height && shape.width == clip_.frame.width;
    if (!whole) sharding::add_tiles(clip_, shape.height, shape.width, tiles);
    return RunNeed{peak->peak_bytes, sharding::run_on_card(tiles, *steps)};
  }

  static std::optional<RunNeed> not_walked(const Error& error) {
    log::debug("{}", error.message);
    return std::nullopt;
  }

  const ModelPackage& package_;
  const sharding::CardClip& clip_;
  const std::vector<const ModelPackage::Graph*> graphs_;  // one for each shape
  const sharding::ShapedGraphs shaped_;
  std::map<sharding::TileShape, RunNeed> known_;
};

std::uint64_t bytes_of(const sharding::TensorSpec& tensor) {
  const auto type = sharding::element_type_from_string(tensor.dtype);
  std::uint64_t bytes = type ? static_cast<std::uint64_t>(sharding::element_bytes(*type)) : sizeof(float);
  for (const sharding::DimRange& side : tensor.shape) bytes *= static_cast<std::uint64_t>(side.max);
  return bytes;
}

// All tiles of one dtype.
class DtypeTiles {
 public:
  DtypeTiles(const ModelPackage& package, sharding::GraphDtype dtype, const TileQuestion& question, TileChoices& out)
      : dtype_(dtype), clip_(clip_of(package, dtype, question)), needs_(package, dtype, clip_), out_(out) {
    request_.frame_height = question.frame.height;
    request_.frame_width = question.frame.width;
    request_.rules = sharding::tiling_rules(package.manifest);
    request_.graphs = needs_.shapes();
    const auto inputs = sharding::package_inputs(package.manifest, dtype, question.frame.height, question.frame.width);
    for (std::size_t i = 1; i < inputs.size(); ++i) weights_bytes_.push_back(bytes_of(inputs[i]));
    if (!question.card_budgets_bytes.empty()) {
      most_held_bytes_ = held_bytes(*std::max_element(question.card_budgets_bytes.begin(), question.card_budgets_bytes.end()));
    }
  }

  void choose_for_hosts(const std::vector<std::uint64_t>& budgets_bytes) {
    request_.activation_bytes = [this](sharding::TileShape shape) { return needs_.of(shape).host_bytes; };
    choose_each(budgets_bytes, [](std::uint64_t) { return std::uint64_t{0}; });
  }

  void choose_for_cards(const std::vector<std::uint64_t>& budgets_bytes) {
    request_.activation_bytes = [this](sharding::TileShape shape) { return needs_.of(shape).card_bytes; };
    request_.more_memory = "a card with more memory holds them, or a larger --vram-cap";
    choose_each(budgets_bytes, [this](std::uint64_t budget_bytes) { return held_bytes(budget_bytes); });
  }

 private:
  static sharding::CardClip clip_of(const ModelPackage& package, sharding::GraphDtype dtype, const TileQuestion& question) {
    const int value_bytes = dtype == sharding::GraphDtype::kFloat32 ? 4 : 2;
    return {{question.frame.height, question.frame.width, static_cast<int>(package.manifest.scale), question.output.height,
             question.output.width, value_bytes},
            question.frame.planes_bytes, question.output.planes_bytes, static_cast<int>(package.manifest.frames())};
  }

  // On a card, whatever the tiles: by the number of channels that takes most.
  [[nodiscard]] std::uint64_t held_bytes(std::uint64_t budget_bytes) const {
    std::uint64_t most = 0;
    for (std::size_t channels = 1; channels <= sharding::kChannelsMax; ++channels) {
      const sharding::RingSizes sizes{channels, sharding::frames_waiting(channels), sharding::ring_limit_bytes(budget_bytes)};
      sharding::CardHoldings holdings = sharding::card_holdings(clip_, sharding::card_ring_slots(clip_, sizes));
      holdings.weights_bytes = weights_bytes_;
      most = std::max(most, sharding::held_on_card(holdings));
    }
    return most;
  }

  template <typename Held>
  void choose_each(const std::vector<std::uint64_t>& budgets_bytes, const Held& held_of) {
    std::uint64_t least = 0;
    std::uint64_t held_of_least = 0;
    for (const std::uint64_t budget : budgets_bytes) {
      const std::uint64_t held = held_of(budget);
      const auto needs = choose(budget, held);
      if (needs && (least == 0 || *needs < least)) {
        least = *needs;
        held_of_least = held;
      }
    }
    for (const std::uint64_t part : kPartsBelowLeast) {
      if (least >= part) (void)choose(held_of_least + least / part, held_of_least);  // less: nothing fitted
    }
  }

  // What the tiles found take; nothing where there are none.
  std::optional<std::uint64_t> choose(std::uint64_t budget_bytes, std::uint64_t held_bytes) {
    if (budget_bytes > 0 && budget_bytes <= held_bytes) {
      out_.reason = fmt::format("weights and buffers for frames of {}x{} take {} MiB of the card, {} MiB are there", request_.frame_width,
                                request_.frame_height, held_bytes >> 20U, budget_bytes >> 20U);
      return std::nullopt;
    }
    request_.memory_limit_bytes = budget_bytes == 0 ? 0 : budget_bytes - held_bytes;
    const auto plan = sharding::plan_tiles(request_);
    if (!plan) {
      out_.reason = plan.error().message;
      return std::nullopt;
    }
    add(*plan, budget_bytes, held_bytes);
    return plan->activation_bytes;
  }

  // Tiles that were found for a host may serve cards too: those of any budget here, since rings grow more slowly than it.
  void add(const sharding::TilePlan& plan, std::uint64_t budget_bytes, std::uint64_t held_bytes) {
    const ModelPackage::Graph& graph = needs_.graph(plan.graph_index);
    const bool known = std::any_of(out_.tiles.begin(), out_.tiles.end(), [&](const net::TileChoice& other) {
      return other.graph == graph.index && other.height == plan.shape.height && other.width == plan.shape.width;
    });
    if (known) return;
    const RunNeed& need = needs_.of(plan.shape);
    net::TileChoice choice;
    choice.dtype = sharding::to_string(dtype_);
    choice.budget_bytes = budget_bytes;
    choice.graph = graph.index;
    choice.graph_sha256 = graph.json_sha256;
    choice.height = plan.shape.height;
    choice.width = plan.shape.width;
    choice.activation_bytes = need.host_bytes;
    choice.card_bytes = need.card_bytes + (held_bytes > 0 ? held_bytes : most_held_bytes_);
    choice.computed_pixels = static_cast<std::int64_t>(plan.windows.size()) * plan.shape.height * plan.shape.width;
    out_.tiles.push_back(choice);
  }

  const sharding::GraphDtype dtype_;
  const sharding::CardClip clip_;
  RunNeeds needs_;
  TileChoices& out_;
  sharding::TileRequest request_;
  std::vector<std::uint64_t> weights_bytes_;
  std::uint64_t most_held_bytes_ = 0;  // under the largest of the budgets
};

std::vector<std::uint64_t> rising(std::vector<std::uint64_t> budgets_bytes) {
  std::sort(budgets_bytes.begin(), budgets_bytes.end());
  return budgets_bytes;
}

}  // namespace

TileChoices choose_tiles(const ModelPackage& package, const TileQuestion& question) {
  TileChoices out;
  for (const sharding::GraphDtype dtype : package.dtypes) {
    if (package.graphs_of(dtype).empty()) continue;
    DtypeTiles tiles(package, dtype, question, out);
    if (dtype == sharding::GraphDtype::kFloat32) tiles.choose_for_hosts(rising(question.host_budgets_bytes));
    tiles.choose_for_cards(rising(question.card_budgets_bytes));
  }
  if (!out.tiles.empty()) out.reason.clear();
  return out;
}

}  // namespace kiln::worker
