// Compiled libraries for tests, made by the compile child's own Python.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/lane/engine/fixture.h"

namespace kiln::lane {
namespace {

using Json = nlohmann::json;
constexpr const char* kIsa = "avx2";  // every processor that runs the tests has it

std::string folder() { return fixtures_folder() + "/compiled"; }

std::string name_of(const std::string& fixture, TileShape shape) {
  return fmt::format("{}-{}x{}", fixture, shape.height, shape.width);
}

Json to_json(const std::vector<TensorSpec>& specs) {
  Json list = Json::array();
  for (const TensorSpec& spec : specs) {
    list.push_back({{"shape", spec.sizes}, {"dtype", spec.dtype}, {"strides", spec.strides}});
  }
  return list;
}

Result<Json> requests_for(const std::string& name) {
  const Fixture fixture = load_fixture(name);
  KILN_TRY_ASSIGN(const auto network, Network::load(fixture.source()));
  Json requests = Json::array();
  for (const FixtureCase& one : fixture.cases) {
    const TileShape shape = padded_shape(fixture, one);
    if (std::filesystem::exists(folder() + "/" + name_of(name, shape) + ".so")) continue;
    KILN_TRY_ASSIGN(const auto inputs, network->input_specs(shape));
    const auto* graph = fixture.manifest.find_graph(sharding::GraphDtype::kFloat32, shape.height, shape.width);
    requests.push_back({{"name", name_of(name, shape)},
                        {"pt2", fixture.folder + "/package/" + graph->file},
                        {"isa", kIsa},
                        {"inputs", to_json(inputs)}});
  }
  return requests;
}

}  // namespace

Status compile_fixtures(const std::vector<std::string>& names) {
  Json requests = Json::array();
  for (const std::string& name : names) {
    KILN_TRY_ASSIGN(const Json more, requests_for(name));
    requests.insert(requests.end(), more.begin(), more.end());
  }
  if (requests.empty()) return {};
  std::filesystem::create_directories(folder());
  const std::string list = fmt::format("{}/requests-{}.json", folder(), getpid());
  std::ofstream(list) << requests;
  const std::string script = std::string(std::getenv("KILN_SOURCE_DIR")) + "/tests/models/compile_graphs.py";
  const int code = std::system(fmt::format("'{}' '{}' --out '{}' < '{}' >&2", std::getenv("KILN_PYTHON"),
                                           script, folder(), list).c_str());
  std::filesystem::remove(list);
  if (code == 0) return {};
  return fail(make_error(ErrorCode::kInternal, "compile_graphs.py ended with {}", code));
}

Result<CompiledFixture> load_compiled(const std::string& name, const Network& network, TileShape shape) {
  const std::string base = folder() + "/" + name_of(name, shape);
  CompiledFixture compiled{{kIsa, "cpu", shape, {}, {}}, {}};
  KILN_TRY_ASSIGN(compiled.spec.inputs, network.input_specs(shape));
  constexpr std::uint64_t kJsonMax = 1U << 20U;
  KILN_TRY_ASSIGN(const std::string text, read_file(base + ".json", kJsonMax));
  for (const Json& output : Json::parse(text)) {
    compiled.spec.outputs.push_back({output["dtype"], output["shape"], output["strides"]});
  }
  const UniqueFd file(open((base + ".so").c_str(), O_RDONLY | O_CLOEXEC));
  KILN_TRY_ASSIGN(compiled.library, make_sealed_from_fd("artifact", file.get()));
  return compiled;
}

}  // namespace kiln::lane
