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

bool is_autotuned(const CompileSettings& settings) {
  return settings.mode == CompileMode::kMaxAutotune || settings.mode == CompileMode::kMaxAutotuneNoCudagraphs;
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

}  // namespace kiln::sharding
