// The nine compile settings that users of Wan in ComfyUI know, with the meaning that each has in Kiln.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::sharding {

enum class CompileBackend { kInductor, kCudagraphs };
enum class CompileMode { kDefault, kReduceOverhead, kMaxAutotune, kMaxAutotuneNoCudagraphs };

struct CompileSettings {
  // --- these shape the code, and are in the artifact key
  CompileBackend backend = CompileBackend::kInductor;
  CompileMode mode = CompileMode::kDefault;
  bool dynamic = false;  // one artifact for a range of sizes instead of one for each shape bucket
  // One artifact per repeated block (true), or one for the whole model. A model without repeated blocks
  // is one component either way.
  bool compile_transformer_blocks_only = true;

  // --- these are run policy: the same artifact serves every value
  // Kiln's graphs are exported whole, so there is never a break to forbid: true and false compile alike.
  bool fullgraph = false;
  std::uint32_t dynamo_cache_size_limit = 64;   // how many artifacts stay loaded in a lane
  std::uint32_t dynamo_recompile_limit = 128;   // how many shapes are specialised before a dynamic artifact takes over
  // Parameters are always static inputs of Kiln's graphs; accepted for old job files.
  bool force_parameter_static_shapes = false;
  // LoRA factors are applied when a block's weights land, outside the graph: never part of the code.
  bool allow_unmerged_lora_compile = false;

  bool operator==(const CompileSettings&) const = default;
};

// As it is told to Inductor and named in keys: what differs in CUDA graphs alone makes the same library.
[[nodiscard]] CompileMode code_mode(CompileMode mode);
// Measured on the card that compiles: such an artifact is for cards of that name only.
[[nodiscard]] bool is_autotuned(const CompileSettings& settings);
[[nodiscard]] std::string_view to_string(CompileBackend backend);  // "inductor", "cudagraphs"
[[nodiscard]] std::string_view to_string(CompileMode mode);        // "default", "max-autotune-no-cudagraphs", …
[[nodiscard]] Result<CompileBackend> compile_backend_from_string(std::string_view name);
[[nodiscard]] Result<CompileMode> compile_mode_from_string(std::string_view name);

// Of a message, whose backend and mode are texts under the same names.
template <typename Words>
[[nodiscard]] Result<CompileSettings> compile_settings_of(const Words& words) {
  CompileSettings out;
  KILN_TRY_ASSIGN(out.backend, compile_backend_from_string(words.backend));
  KILN_TRY_ASSIGN(out.mode, compile_mode_from_string(words.mode));
  out.dynamic = words.dynamic;
  out.compile_transformer_blocks_only = words.compile_transformer_blocks_only;
  out.fullgraph = words.fullgraph;
  out.dynamo_cache_size_limit = words.dynamo_cache_size_limit;
  out.dynamo_recompile_limit = words.dynamo_recompile_limit;
  out.force_parameter_static_shapes = words.force_parameter_static_shapes;
  out.allow_unmerged_lora_compile = words.allow_unmerged_lora_compile;
  return out;
}

// One that cannot be had: which, and an error that says why and what to do.
struct UnavailableSetting {
  std::string_view name;
  Error error;
};
[[nodiscard]] std::optional<UnavailableSetting> find_unavailable(const CompileSettings& settings);
// A line for each setting that is taken as it was said, and changes nothing.
[[nodiscard]] std::vector<std::string> without_effect(const CompileSettings& settings);

}  // namespace kiln::sharding
