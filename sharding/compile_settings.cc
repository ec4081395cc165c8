#include "sharding/compile_settings.h"

#include <array>
#include <utility>

#include "base/text.h"

namespace kiln::sharding {
namespace {

constexpr std::array<std::string_view, 2> kBackendNames{"inductor", "cudagraphs"};
constexpr std::array<std::string_view, 4> kModeNames{"default", "reduce-overhead", "max-autotune",
                                                     "max-autotune-no-cudagraphs"};

template <typename Enum, std::size_t N>
Result<Enum> enum_from_string(std::string_view what, std::string_view name,
                              const std::array<std::string_view, N>& names) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return fail(bad_config("unknown compile {} '{}'.{}", what, name, did_you_mean(name, names)));
}

}  // namespace

CompileMode code_mode(CompileMode mode) {
  return mode == CompileMode::kMaxAutotune ? CompileMode::kMaxAutotuneNoCudagraphs : mode;
}

bool is_autotuned(const CompileSettings& settings) {
  return code_mode(settings.mode) == CompileMode::kMaxAutotuneNoCudagraphs;
}

std::string_view to_string(CompileBackend backend) {
  return kBackendNames.at(static_cast<std::size_t>(backend));
}

std::string_view to_string(CompileMode mode) { return kModeNames.at(static_cast<std::size_t>(mode)); }

Result<CompileBackend> compile_backend_from_string(std::string_view name) {
  return enum_from_string<CompileBackend>("backend", name, kBackendNames);
}

Result<CompileMode> compile_mode_from_string(std::string_view name) {
  return enum_from_string<CompileMode>("mode", name, kModeNames);
}

std::optional<UnavailableSetting> find_unavailable(const CompileSettings& settings) {
  if (settings.backend == CompileBackend::kCudagraphs) {
    return UnavailableSetting{"backend", bad_config(
        "the compile backend cudagraphs is not to be had: lanes open compiled libraries, which record no CUDA graphs; "
        "use inductor")};
  }
  if (settings.mode == CompileMode::kReduceOverhead) {
    return UnavailableSetting{"mode", bad_config(
        "the compile mode reduce-overhead is not to be had: it records CUDA graphs, and the compiled libraries that lanes "
        "open record none; use default, or max-autotune-no-cudagraphs")};
  }
  if (settings.dynamic) {
    return UnavailableSetting{"dynamic", bad_config(
        "dynamic = true is not to be had: an artifact is made for the one tile shape of its clip, and lanes are given none "
        "for a range of shapes; leave it false (clips with equal tiles share an artifact, whatever their length)")};
  }
  return std::nullopt;
}

std::vector<std::string> without_effect(const CompileSettings& settings) {
  const CompileSettings usual;
  std::vector<std::string> lines;
  const auto add = [&](bool said, std::string_view name, std::string_view why) {
    if (said) lines.push_back(fmt::format("{} changes nothing: {}", name, why));
  };
  if (settings.mode == CompileMode::kMaxAutotune) {
    lines.emplace_back("mode max-autotune is taken without its CUDA graphs, as max-autotune-no-cudagraphs");
  }
  add(settings.compile_transformer_blocks_only != usual.compile_transformer_blocks_only, "compile_transformer_blocks_only",
      "packages have one component, which is compiled as one");
  add(settings.fullgraph != usual.fullgraph, "fullgraph", "graphs are exported whole, and have no breaks");
  add(settings.dynamo_cache_size_limit != usual.dynamo_cache_size_limit, "dynamo_cache_size_limit",
      "lanes keep what their clips need");
  add(settings.dynamo_recompile_limit != usual.dynamo_recompile_limit, "dynamo_recompile_limit",
      "every tile shape is compiled for itself");
  add(settings.force_parameter_static_shapes != usual.force_parameter_static_shapes, "force_parameter_static_shapes",
      "shapes of parameters are always static");
  add(settings.allow_unmerged_lora_compile != usual.allow_unmerged_lora_compile, "allow_unmerged_lora_compile",
      "no LoRA is part of the code");
  return lines;
}

}  // namespace kiln::sharding
