#include "tests/lane/generate/golden.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/process.h"
#include "tests/base/shared_fixtures.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kCasesBytesMax = std::uint64_t{4} << 20U;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

Golden load_golden(const std::string& name, const std::string& script, const std::vector<std::string>& folders) {
  Golden made;
  const std::string folder = environment("KILN_BINARY_DIR") + "/fixtures/" + name + "-" + test::recipe_digest(folders);
  made.folder = folder;
  if (!std::filesystem::exists(folder)) {
    const std::string command = fmt::format("'{}' '{}/{}' --out '{}' >&2", environment("KILN_PYTHON"),
                                            environment("KILN_SOURCE_DIR"), script, folder);
    EXPECT_EQ(std::system(command.c_str()), 0) << script;
  }
  made.cases = nlohmann::json::parse(read_file(folder + "/cases.json", kCasesBytesMax).value_or("{}"));
  const UniqueFd fd(open((folder + "/tensors.safetensors").c_str(), O_RDONLY | O_CLOEXEC));
  auto mapping = Mapping::map(fd.get());
  EXPECT_TRUE(mapping) << folder;
  if (!mapping) return made;
  made.file = std::move(*mapping);
  auto tensors = read_safetensors(made.file.bytes());
  EXPECT_TRUE(tensors) << (tensors ? "" : tensors.error().message);
  if (tensors) made.tensors = std::move(*tensors);
  return made;
}

at::Tensor Golden::tensor(const nlohmann::json& one, const std::string& name) const {
  const auto found = tensors.find(one["name"].get<std::string>() + "/" + name);
  EXPECT_NE(found, tensors.end()) << one["name"] << name;
  if (found == tensors.end()) return {};
  const std::span<const std::byte> bytes = found->second.bytes;
  // from_blob takes no const pointer; the clone is what anybody writes to.
  return at::from_blob(const_cast<std::byte*>(bytes.data()), found->second.shape, at::TensorOptions(at::kFloat)).clone();
}

const Golden& golden() {
  static const Golden kGolden = load_golden("generate", "tests/lane/generate/make_golden.py", {"tests/lane/generate"});
  return kGolden;
}

FlowSettings settings_of(const nlohmann::json& one) {
  FlowSettings settings;
  settings.solver = one["solver"] == "euler" ? FlowSolver::kEuler : FlowSolver::kUniPc;
  settings.shift = one["shift"];
  settings.steps = one["steps"];
  settings.order = one["order"];
  settings.train_timesteps = one.value("train_timesteps", settings.train_timesteps);
  settings.first_step = one.value("first_step", 0);
  return settings;
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  if (found.sizes() != expected.sizes()) return INFINITY;
  const double difference = found.sub(expected).abs().max().item<double>();
  const double largest = expected.abs().max().item<double>();
  return std::isfinite(difference) ? difference / largest : INFINITY;
}

}  // namespace kiln::lane
