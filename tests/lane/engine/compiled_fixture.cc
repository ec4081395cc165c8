#include "tests/lane/engine/compiled_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/sealed_file.h"
#include "sharding/compile_key.h"
#include "tests/base/shared_fixtures.h"

namespace kiln::lane {
namespace {

using Json = nlohmann::json;
constexpr const char* kIsa = "avx2";  // every processor that runs the tests has it
constexpr const char* kOpenSizes = "compact-open";
constexpr const char* kConstants = "constants";
constexpr std::uint64_t kJsonMax = 1U << 20U;

std::string folder(const std::string& device) {
  static const std::string kDigest = test::recipe_digest({"python/kiln_compile"});
  return fmt::format("{}/compiled-{}-{}", test::fixtures_folder(), device, kDigest);
}

std::string name_of(const std::string& fixture, TileShape shape) {
  return fmt::format("{}-{}x{}", fixture, shape.height, shape.width);
}

std::string path_of(const std::string& name, const std::string& device) { return folder(device) + "/" + name + ".so"; }

std::vector<cache::TensorSpec> as_signed(const std::vector<TensorSpec>& specs, const std::string& device) {
  std::vector<cache::TensorSpec> out;
  for (const TensorSpec& spec : specs) {
    out.push_back({fmt::format("input{}", out.size()), spec.dtype, device, spec.sizes, spec.sizes, spec.strides,
                   sharding::kTensorAlignmentBytes});
  }
  return out;
}

Json to_json(const std::vector<cache::TensorSpec>& specs) {
  Json list = Json::array();
  for (const cache::TensorSpec& spec : specs) {
    Json ranges = Json::array();
    for (std::size_t i = 0; i < spec.shape_min.size(); ++i) ranges.push_back({spec.shape_min[i], spec.shape_max[i]});
    list.push_back({{"shape", ranges}, {"dtype", spec.dtype}, {"strides", spec.strides}});
  }
  return list;
}

Json request_for(const std::string& name, const Fixture& fixture, TileShape shape,
                 const std::vector<cache::TensorSpec>& inputs) {
  const auto* graph = fixture.manifest.find_graph(sharding::GraphDtype::kFloat32, shape.height, shape.width);
  const std::string pt2 = fixture.folder + "/package/" + graph->file;
  return {{"name", name}, {"pt2", pt2}, {"isa", kIsa}, {"inputs", to_json(inputs)}};
}

Status add_requests(const CompileWish& wish, Json& requests) {
  const Fixture fixture = load_fixture(wish.fixture);
  KILN_TRY_ASSIGN(const auto network, Network::load(fixture.source()));
  for (const TileShape shape : wish.shapes) {
    KILN_TRY_ASSIGN(const auto inputs, network->input_specs(shape));
    requests.push_back(request_for(name_of(wish.fixture, shape), fixture, shape, as_signed(inputs, "cpu")));
  }
  return {};
}

CompileWish both_cases(const std::string& name) {
  const Fixture fixture = load_fixture(name);
  CompileWish wish{name, {}};
  for (const FixtureCase& one : fixture.cases) {
    const TileShape shape = padded_shape(fixture, one);
    if (wish.shapes.empty() || wish.shapes.back() != shape) wish.shapes.push_back(shape);
  }
  return wish;
}

Result<std::vector<cache::TensorSpec>> open_inputs(const Network& network, const std::string& device) {
  KILN_TRY_ASSIGN(const auto least, network.input_specs({1, 16, 16}));
  KILN_TRY_ASSIGN(const auto most, network.input_specs({1, 512, 512}));
  std::vector<cache::TensorSpec> inputs = as_signed(least, device);
  inputs[0].shape_max = most[0].sizes;
  inputs[0].strides.assign(inputs[0].shape_max.size(), cache::kStrideFollowsShape);
  return inputs;
}

std::vector<cache::TensorSpec> constants_inputs(const std::string& device) {
  return as_signed({{"float32", {1, 3, 16, 16}, {768, 256, 16, 1}}}, device);
}

Status compile(const Json& all, const std::string& device = "cpu") {
  Json requests = Json::array();
  for (const Json& one : all) {
    if (!std::filesystem::exists(path_of(one["name"].get<std::string>(), device))) requests.push_back(one);
  }
  if (requests.empty()) return {};
  std::filesystem::create_directories(folder(device));
  const std::string list = fmt::format("{}/requests-{}.json", folder(device), getpid());
  std::ofstream(list) << requests;
  const std::string script = std::string(std::getenv("KILN_SOURCE_DIR")) + "/tests/models/compile_graphs.py";
  const int code = std::system(fmt::format("'{}' '{}' --out '{}' --device {} < '{}' >&2", std::getenv("KILN_PYTHON"),
                                           script, folder(device), device, list).c_str());
  std::filesystem::remove(list);
  if (code == 0) return {};
  return fail(make_error(ErrorCode::kInternal, "compile_graphs.py ended with {}", code));
}

// The outputs are as the compile child described them.
Result<CompiledFixture> load(const std::string& name, TileShape shape, std::vector<cache::TensorSpec> inputs,
                             const std::string& device) {
  CompiledFixture compiled{{kIsa, device, shape, std::move(inputs), {}}, {}, path_of(name, device)};
  KILN_TRY_ASSIGN(const std::string text, read_file(folder(device) + "/" + name + ".json", kJsonMax));
  for (const Json& output : Json::parse(text)) {
    cache::TensorSpec spec;
    spec.name = fmt::format("output{}", compiled.spec.outputs.size());
    spec.dtype = output["dtype"];
    spec.device = device;
    for (const Json& range : output["shape"]) {
      spec.shape_min.push_back(range[0]);
      spec.shape_max.push_back(range[1]);
    }
    spec.strides = output["strides"].get<std::vector<std::int64_t>>();
    if (spec.strides.empty()) spec.strides.assign(spec.shape_min.size(), cache::kStrideFollowsShape);
    compiled.spec.outputs.push_back(std::move(spec));
  }
  const UniqueFd file(open(compiled.path.c_str(), O_RDONLY | O_CLOEXEC));
  KILN_TRY_ASSIGN(compiled.library, make_sealed_from_fd("artifact", file.get()));
  return compiled;
}

}  // namespace

Status compile_shapes(const std::vector<CompileWish>& wishes) {
  Json requests = Json::array();
  for (const CompileWish& wish : wishes) KILN_TRY(add_requests(wish, requests));
  return compile(requests);
}

Status compile_fixtures(const std::vector<std::string>& names) {
  std::vector<CompileWish> wishes;
  for (const std::string& name : names) wishes.push_back(both_cases(name));
  return compile_shapes(wishes);
}

Status compile_compact(const std::string& device) {
  Json requests = Json::array();
  KILN_TRY(add_requests(both_cases("compact"), requests));
  const Fixture fixture = load_fixture("compact");
  KILN_TRY_ASSIGN(const auto network, Network::load(fixture.source()));
  KILN_TRY_ASSIGN(const auto inputs, open_inputs(*network, device));
  requests.push_back(request_for(kOpenSizes, fixture, {1, 16, 16}, inputs));
  requests.push_back({{"name", kConstants}, {"isa", kIsa}, {"inputs", to_json(constants_inputs(device))}});
  return compile(requests, device);
}

Result<CompiledFixture> load_compiled(const std::string& name, const Network& network, TileShape shape, const std::string& device) {
  KILN_TRY_ASSIGN(const auto inputs, network.input_specs(shape));
  return load(name_of(name, shape), shape, as_signed(inputs, device), device);
}

Result<CompiledFixture> load_open_sizes(const Network& compact, const std::string& device) {
  KILN_TRY_ASSIGN(auto inputs, open_inputs(compact, device));
  return load(kOpenSizes, {1, 16, 16}, std::move(inputs), device);
}

Result<CompiledFixture> load_with_constants(const std::string& device) {
  return load(kConstants, {1, 16, 16}, constants_inputs(device), device);
}

}  // namespace kiln::lane
