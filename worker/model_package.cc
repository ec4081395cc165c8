#include "worker/model_package.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/log.h"
#include "base/sealed_file.h"
#include "sharding/frame_memory.h"
#include "sharding/graph/liveness.h"
#include "sharding/package/package_tiling.h"
#include "sharding/package/pt2_archive.h"

namespace kiln::worker {
namespace {

Result<UniqueFd> load_file(const PackageLoader& load, const std::string& file, const std::string& sha256_hex) {
  const auto expected = Digest::from_hex(sha256_hex);
  if (!expected) return fail(input_refused("{}: {}", file, expected.error().message));
  return load(file, *expected);
}

Result<ModelPackage::Graph> load_graph(const PackageLoader& load, const sharding::PackageGraph& description,
                                       std::uint32_t index) {
  ModelPackage::Graph graph;
  graph.index = index;
  KILN_TRY_ASSIGN(graph.pt2, load_file(load, description.file, description.sha256));
  KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(graph.pt2.get()));
  const auto json = sharding::read_pt2_graph(mapping.bytes());
  if (!json) return fail(input_refused("{}: {}", description.file, json.error().message));
  auto parsed = sharding::parse_exported_graph(*json, description.file);
  if (!parsed) return fail(input_refused("{}", parsed.error().message));
  graph.graph = std::move(*parsed);
  graph.json_sha256 = sha256(*json).hex();
  return graph;
}

// What a shape needs does not depend on the budget: each is walked once.
class ActivationTable {
 public:
  ActivationTable(const ModelPackage& package, const std::vector<const ModelPackage::Graph*>& graphs,
                  const sharding::ShapedGraphs& shaped)
      : package_(package), graphs_(graphs), shaped_(shaped) {}

  std::uint64_t bytes_of(sharding::TileShape shape) {
    const auto known = known_.find(shape);
    if (known != known_.end()) return known->second;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < shaped_.shapes.size(); ++i) {
      if (!shaped_.shapes[i].holds(shape)) continue;
      const auto walked = activation_bytes(package_, *graphs_[i], shape.height, shape.width);
      if (!walked) {
        log::debug("{}", walked.error().message);
        continue;
      }
      bytes = *walked;
      break;
    }
    return known_[shape] = bytes;
  }

 private:
  const ModelPackage& package_;
  const std::vector<const ModelPackage::Graph*>& graphs_;  // one for each shape
  const sharding::ShapedGraphs& shaped_;
  std::map<sharding::TileShape, std::uint64_t> known_;
};

net::TileChoice to_choice(const ModelPackage::Graph& graph, sharding::GraphDtype dtype, const sharding::TilePlan& plan,
                          std::uint64_t budget_bytes) {
  net::TileChoice out;
  out.dtype = sharding::to_string(dtype);
  out.budget_bytes = budget_bytes;
  out.graph = graph.index;
  out.graph_sha256 = graph.json_sha256;
  out.height = plan.shape.height;
  out.width = plan.shape.width;
  out.activation_bytes = plan.activation_bytes;
  out.computed_pixels = static_cast<std::int64_t>(plan.windows.size()) * plan.shape.height * plan.shape.width;
  return out;
}

}  // namespace

const ModelPackage::Graph* ModelPackage::find_graph(std::uint32_t index) const {
  const auto found = std::find_if(graphs.begin(), graphs.end(), [&](const Graph& graph) { return graph.index == index; });
  return found == graphs.end() ? nullptr : &*found;
}

std::vector<const ModelPackage::Graph*> ModelPackage::graphs_of(sharding::GraphDtype dtype) const {
  std::vector<const Graph*> out;
  for (const Graph& graph : graphs) {
    if (manifest.graphs[graph.index].dtype == dtype) out.push_back(&graph);
  }
  return out;
}

bool ModelPackage::is_open_for(const std::vector<sharding::GraphDtype>& wanted) const {
  return std::all_of(wanted.begin(), wanted.end(), [&](sharding::GraphDtype dtype) {
    return std::find(dtypes.begin(), dtypes.end(), dtype) != dtypes.end();
  });
}

Result<ModelPackage> open_model_package(std::string manifest_text, const PackageLoader& load,
                                        std::vector<sharding::GraphDtype> dtypes) {
  ModelPackage package;
  package.dtypes = std::move(dtypes);
  package.manifest_text = std::move(manifest_text);
  package.digest = sha256(package.manifest_text);
  KILN_TRY_ASSIGN(package.manifest, sharding::parse_package_manifest(package.manifest_text, "manifest.toml"));
  for (std::uint32_t i = 0; i < package.manifest.graphs.size(); ++i) {
    const sharding::PackageGraph& description = package.manifest.graphs[i];
    if (!package.is_open_for({description.dtype})) continue;
    KILN_TRY_ASSIGN(auto graph, load_graph(load, description, i));
    package.graphs.push_back(std::move(graph));
  }
  if (package.graphs.empty()) {
    std::vector<std::string_view> names;
    for (const sharding::GraphDtype dtype : package.dtypes) names.push_back(sharding::to_string(dtype));
    return fail(input_refused("the package has no graph of dtype {}; import the model again", fmt::join(names, " or ")));
  }
  KILN_TRY_ASSIGN(package.weights, load_file(load, package.manifest.weights.file, package.manifest.weights.sha256));
  return package;
}

Result<std::uint64_t> activation_bytes(const ModelPackage& package, const ModelPackage::Graph& graph, int height,
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

namespace {

// What of a budget a frame takes that is no activation.
class FrameShare {
 public:
  FrameShare(const ModelPackage& package, sharding::GraphDtype dtype, PictureSize frame, PictureSize output)
      : counts_(dtype != sharding::GraphDtype::kFloat32),
        frame_{frame.height, frame.width, static_cast<int>(package.manifest.scale), output.height, output.width, 2} {}
  [[nodiscard]] std::uint64_t bytes(bool tiled) const { return counts_ ? sharding::frame_buffer_bytes(frame_, tiled) : 0; }

 private:
  bool counts_;
  sharding::CardFrame frame_;
};

// Tiles whose activations, and the frame beside them, are within the budget. A frame that has to be tiled takes more of it.
Result<sharding::TilePlan> plan_within(sharding::TileRequest request, std::uint64_t budget_bytes, const FrameShare& share) {
  bool tiled = false;
  while (true) {
    const std::uint64_t frame_bytes = share.bytes(tiled);
    if (budget_bytes > 0 && budget_bytes <= frame_bytes) {
      return fail(make_error(ErrorCode::kResourceExhausted, "one frame {}takes {} MiB of the card, {} MiB are there for it",
                             tiled ? "in tiles " : "", frame_bytes >> 20U, budget_bytes >> 20U));
    }
    request.memory_limit_bytes = budget_bytes == 0 ? 0 : budget_bytes - frame_bytes;
    KILN_TRY_ASSIGN(sharding::TilePlan plan, sharding::plan_tiles(request));
    if (plan.is_tiled() == tiled || tiled) {
      plan.activation_bytes += frame_bytes;
      return plan;
    }
    tiled = true;
  }
}

// Tiles whose activations are so many times less than the least of those that lanes have room for: a lane that turns out to have less,
// since others use its memory, has something to go on with. Few: each one that is too large still costs a try of the task.
constexpr std::array<std::uint64_t, 2> kPartsBelowLeast = {3, 9};

void add_choice(const net::TileChoice& choice, TileChoices& out) {
  const bool known = std::any_of(out.tiles.begin(), out.tiles.end(), [&](const net::TileChoice& other) {
    return other.graph == choice.graph && other.height == choice.height && other.width == choice.width;
  });
  if (!known) out.tiles.push_back(choice);
}

void choose_tiles_of(const ModelPackage& package, sharding::GraphDtype dtype, sharding::TileRequest request,
                     const FrameShare& share, const std::vector<std::uint64_t>& budgets_bytes, TileChoices& out) {
  const std::vector<const ModelPackage::Graph*> graphs = package.graphs_of(dtype);
  if (graphs.empty()) return;
  const auto shaped = sharding::graphs_of(package.manifest, dtype);
  ActivationTable table(package, graphs, shaped);
  request.graphs = shaped.shapes;
  request.activation_bytes = [&](sharding::TileShape shape) { return table.bytes_of(shape); };
  std::uint64_t least = 0;
  for (const std::uint64_t budget : budgets_bytes) {
    const auto plan = plan_within(request, budget, share);
    if (!plan) {
      out.reason = plan.error().message;
      continue;
    }
    const std::uint64_t activations = plan->activation_bytes - share.bytes(plan->is_tiled());
    least = least == 0 ? activations : std::min(least, activations);
    add_choice(to_choice(*graphs[plan->graph_index], dtype, *plan, budget), out);
  }
  for (const std::uint64_t part : kPartsBelowLeast) {
    if (least < part) continue;  // nothing fitted
    const std::uint64_t budget = least / part + share.bytes(true);
    if (const auto plan = plan_within(request, budget, share)) {
      add_choice(to_choice(*graphs[plan->graph_index], dtype, *plan, budget), out);
    }
  }
}

}  // namespace

TileChoices choose_tiles(const ModelPackage& package, PictureSize frame, PictureSize output,
                         std::vector<std::uint64_t> budgets_bytes) {
  sharding::TileRequest request;
  request.frame_height = frame.height;
  request.frame_width = frame.width;
  request.rules = sharding::tiling_rules(package.manifest);
  std::sort(budgets_bytes.begin(), budgets_bytes.end());
  TileChoices out;
  for (const sharding::GraphDtype dtype : package.dtypes) {
    choose_tiles_of(package, dtype, request, FrameShare(package, dtype, frame, output), budgets_bytes, out);
  }
  if (!out.tiles.empty()) out.reason.clear();
  return out;
}

}  // namespace kiln::worker
