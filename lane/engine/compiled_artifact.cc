#include "lane/engine/compiled_artifact.h"

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>

#include "base/cpu.h"
#include "base/sealed_file.h"
#include "base/text.h"
#include "lane/engine/torch_types.h"
#include "sharding/isa_level.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kMapsBytesMax = std::uint64_t{64} << 20U;
// What Inductor's kernels assume of every input on the CPU.
constexpr std::uintptr_t kAlignmentBytes = 16;

Error refused(std::string what) {
  return make_error(ErrorCode::kFailedPrecondition, ExitCode::kInputRefused, "artifact: {}", what);
}

Status check_processor(const ArtifactSpec& spec) {
  KILN_TRY_ASSIGN(const sharding::IsaLevel needed, sharding::isa_level_from_string(spec.isa));
  const sharding::IsaLevel present = sharding::isa_level_of(read_cpuid());
  if (present >= needed) return {};
  return fail(refused(fmt::format("compiled for {}, this processor has {}", spec.isa,
                                  sharding::to_string(present))));
}

// The library names LibTorch by its short name and would bind to whichever copy came first.
Status check_one_libtorch() {
  KILN_TRY_ASSIGN(const std::string maps, read_file("/proc/self/maps", kMapsBytesMax));
  const int count = count_mapped_libtorch(maps);
  if (count == 1) return {};
  return fail(refused(fmt::format("{} copies of LibTorch are loaded, exactly one may be", count)));
}

Status check_input(const TensorSpec& expected, const at::Tensor& tensor, std::size_t index) {
  const auto problem = [&](std::string what) {
    return fail(refused(fmt::format("input {}: {}", index, what)));
  };
  if (!tensor.is_cpu()) return problem("is not on the CPU");
  const auto dtype = sharding::to_string(from_torch(tensor.scalar_type()));
  if (dtype != expected.dtype) return problem(fmt::format("is {}, compiled for {}", dtype, expected.dtype));
  if (tensor.sizes() != c10::IntArrayRef(expected.sizes)) {
    return problem(fmt::format("is {}, compiled for {}", fmt::join(tensor.sizes(), "x"),
                               fmt::join(expected.sizes, "x")));
  }
  if (tensor.strides() != c10::IntArrayRef(expected.strides)) {
    return problem(fmt::format("has strides {}, compiled for {}", fmt::join(tensor.strides(), ","),
                               fmt::join(expected.strides, ",")));
  }
  if (reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % kAlignmentBytes != 0) {
    return problem("is not aligned to 16 bytes");
  }
  return {};
}

Status check_output(const TensorSpec& expected, const at::Tensor& tensor) {
  if (sharding::to_string(from_torch(tensor.scalar_type())) == expected.dtype &&
      tensor.sizes() == c10::IntArrayRef(expected.sizes)) {
    return {};
  }
  return fail(refused(fmt::format("gave a result of {}, its manifest says {}",
                                  fmt::join(tensor.sizes(), "x"), fmt::join(expected.sizes, "x"))));
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
  std::unique_ptr<torch::inductor::AOTIModelContainerRunnerCpu> runner;
};

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

CompiledArtifact::CompiledArtifact(ArtifactSpec spec, std::unique_ptr<State> state)
    : spec_(std::move(spec)), state_(std::move(state)) {}
CompiledArtifact::~CompiledArtifact() = default;

Result<std::unique_ptr<CompiledArtifact>> CompiledArtifact::open(const ArtifactSpec& spec, int sealed_fd) {
  if (spec.device != "cpu") {
    return fail(make_error(ErrorCode::kUnimplemented, "artifact: only CPU artifacts can be opened yet"));
  }
  KILN_TRY(check_processor(spec));
  KILN_TRY(require_sealed(sealed_fd));
  KILN_TRY(check_one_libtorch());
  // LibTorch's constructors share static state.
  static std::mutex construction;
  const std::scoped_lock lock(construction);
  auto state = std::make_unique<State>();
  try {
    state->runner = std::make_unique<torch::inductor::AOTIModelContainerRunnerCpu>(
        unique_path(sealed_fd), 1, true);
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
  for (std::size_t i = 0; i < inputs.size(); ++i) KILN_TRY(check_input(spec_.inputs[i], inputs[i], i));
  try {
    const c10::InferenceMode inference;
    std::vector<at::Tensor> outputs = state_->runner->run(inputs);
    if (outputs.size() != spec_.outputs.size()) return fail(refused("gave another number of results"));
    for (std::size_t i = 0; i < outputs.size(); ++i) KILN_TRY(check_output(spec_.outputs[i], outputs[i]));
    return outputs;
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("running the artifact"));
  }
}

}  // namespace kiln::lane
