#include "lane/engine/compiled_artifact.h"

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string_view>

#include "base/sealed_file.h"
#include "base/text.h"
#include "lane/engine/torch_types.h"
#include "sharding/isa_level.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kMapsBytesMax = std::uint64_t{64} << 20U;

Error refused(std::string what) {
  return make_error(ErrorCode::kFailedPrecondition, ExitCode::kInputRefused, "artifact: {}", what);
}

Status check_processor(const ArtifactSpec& spec, const CpuidWords& cpuid) {
  KILN_TRY_ASSIGN(const sharding::IsaLevel needed, sharding::isa_level_from_string(spec.isa));
  const sharding::IsaLevel present = sharding::isa_level_of(cpuid);
  if (present >= needed) return {};
  return fail(refused(fmt::format("compiled for {}, this processor has {}", spec.isa,
                                  sharding::to_string(present))));
}

// The library names LibTorch by its short name and would bind to whichever copy came first.
Status check_one_libtorch(std::string_view maps) {
  const int count = count_mapped_libtorch(maps);
  if (count == 1) return {};
  return fail(refused(fmt::format("{} copies of LibTorch are loaded, exactly one may be", count)));
}

std::string_view device_of(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return "cpu";
  return tensor.is_cuda() ? "cuda" : "another device";
}

Status check(const cache::TensorSpec& expected, const at::Tensor& tensor, std::string_view what, std::size_t index) {
  cache::TensorView view;
  view.dtype = sharding::to_string(from_torch(tensor.scalar_type()));
  view.device = device_of(tensor);
  view.shape = {tensor.sizes().data(), tensor.sizes().size()};
  view.strides = {tensor.strides().data(), tensor.strides().size()};
  view.address = reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr());
  const Status fits = cache::check_tensor(expected, view);
  if (fits) return {};
  return fail(fits.error().with_context(fmt::format("artifact: {} {}", what, index)));
}

// A result brings its memory along, so that its layout is its own business.
std::vector<cache::TensorSpec> in_any_layout(std::vector<cache::TensorSpec> outputs) {
  for (cache::TensorSpec& output : outputs) {
    output.strides.assign(output.shape_max.size(), cache::kStrideFollowsShape);
    output.alignment_bytes = 1;
  }
  return outputs;
}

// The loader takes two libraries of the same name for one, and a descriptor's number comes back after it
// was closed while a library may stay loaded for good. So every opening has a spelling of its own: the
// bits of a counter, as one or two slashes.
std::string unique_path(int fd) {
  constexpr unsigned kCounterBits = 24;
  static std::atomic<std::uint32_t> counter{0};
  const std::uint32_t number = counter++;
  std::string path = "/proc/self/fd/";
  for (unsigned bit = 0; bit < kCounterBits; ++bit) path += ((number >> bit) & 1U) != 0 ? ".//" : "./";
  return path + std::to_string(fd);
}

}  // namespace

struct CompiledArtifact::State {
  std::vector<cache::TensorSpec> outputs;
  std::unique_ptr<torch::inductor::AOTIModelContainerRunner> runner;
};

namespace {

// LibTorch's CUDA library, which is opened only where there is a card, registers its runner when it is loaded.
std::unique_ptr<torch::inductor::AOTIModelContainerRunner> make_runner(std::string_view device, const std::string& path) {
  constexpr std::size_t kModels = 1;
  constexpr bool kSingleThreaded = true;
  if (device == "cpu") {
    return std::make_unique<torch::inductor::AOTIModelContainerRunnerCpu>(path, kModels, kSingleThreaded);
  }
  const auto& runners = torch::inductor::getAOTIModelRunnerRegistry();
  const auto found = runners.find("cuda");
  if (found == runners.end()) throw std::runtime_error("this lane has no card");
  return found->second(path, kModels, "cuda", "", kSingleThreaded);
}

}  // namespace

int count_mapped_libtorch(std::string_view maps) {
  std::set<std::string_view> paths;
  for (const std::string_view line : split(maps, '\n')) {
    const std::size_t slash = line.find('/');
    if (slash != std::string_view::npos && line.ends_with("/libtorch_cpu.so")) {
      paths.insert(line.substr(slash));
    }
  }
  return static_cast<int>(paths.size());
}

Result<ArtifactHost> this_host() {
  KILN_TRY_ASSIGN(std::string maps, read_file("/proc/self/maps", kMapsBytesMax));
  return ArtifactHost{read_cpuid(), std::move(maps)};
}

CompiledArtifact::CompiledArtifact(ArtifactSpec spec, std::unique_ptr<State> state)
    : spec_(std::move(spec)), state_(std::move(state)) {}
CompiledArtifact::~CompiledArtifact() = default;

Result<std::unique_ptr<CompiledArtifact>> CompiledArtifact::open(const ArtifactSpec& spec, int sealed_fd,
                                                                 const ArtifactHost& host) {
  KILN_TRY(check_processor(spec, host.cpuid));
  KILN_TRY(require_sealed(sealed_fd));
  KILN_TRY(check_one_libtorch(host.maps));
  // LibTorch's constructors share static state.
  static std::mutex construction;
  const std::scoped_lock lock(construction);
  auto state = std::make_unique<State>();
  state->outputs = in_any_layout(spec.outputs);
  try {
    state->runner = make_runner(spec.device, unique_path(sealed_fd));
    if (!state->runner->getConstantNamesToOriginalFQNs().empty()) {
      return fail(refused("it holds constants of its own"));
    }
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("opening the artifact"));
  }
  return std::unique_ptr<CompiledArtifact>(new CompiledArtifact(spec, std::move(state)));
}

Result<std::vector<at::Tensor>> CompiledArtifact::run(const std::vector<at::Tensor>& inputs) {
  if (inputs.size() != spec_.inputs.size()) {
    return fail(refused(fmt::format("{} inputs, compiled for {}", inputs.size(), spec_.inputs.size())));
  }
  try {
    for (std::size_t i = 0; i < inputs.size(); ++i) KILN_TRY(check(spec_.inputs[i], inputs[i], "input", i));
    const c10::InferenceMode inference;
    std::vector<at::Tensor> outputs = state_->runner->run(inputs);
    if (outputs.size() != spec_.outputs.size()) return fail(refused("gave another number of results"));
    for (std::size_t i = 0; i < outputs.size(); ++i) KILN_TRY(check(state_->outputs[i], outputs[i], "result", i));
    return outputs;
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("running the artifact"));
  }
}

}  // namespace kiln::lane
