// What a shared library would do to the process that opens it, read from its bytes before anybody does.
// Pure: bytes in, report or refusal out; never reads outside them, whatever they hold.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::cache {

struct SymbolVersion {
  std::array<unsigned, 3> part{};  // GLIBCXX_3.4.30 -> {3, 4, 30}
  auto operator<=>(const SymbolVersion&) const = default;
  [[nodiscard]] std::string text() const;  // "3.4.30"; "" when nothing is needed
};

struct ArtifactFileReport {
  std::vector<std::string> needed;  // in file order
  SymbolVersion glibc_needed;       // highest GLIBC_x.y
  SymbolVersion glibcxx_needed;     // highest GLIBCXX_x.y.z
};

// Refuses (exit code 65, naming the reason) anything but a 64-bit x86-64 shared object that needs only
// libraries of the allow-list, carries no search path, interpreter, filter or audit entry, no text
// relocation, no segment both writable and executable, and no executable stack.
[[nodiscard]] Result<ArtifactFileReport> check_artifact_file(std::span<const std::byte> library);
[[nodiscard]] bool library_is_allowed(std::string_view soname);

// AOTInductor's libraries ask for an executable stack that they do not use; glibc 2.41 refuses to load them.
// Clears the flag in place; true when it was set.
[[nodiscard]] Result<bool> clear_executable_stack(std::span<std::byte> library);

// Refuses a library that needs a newer glibc than the one running here (GLIBCXX: newer than `glibcxx_here`).
[[nodiscard]] Status check_symbol_versions(const ArtifactFileReport& report, const SymbolVersion& glibc_here,
                                           const SymbolVersion& glibcxx_here);
[[nodiscard]] SymbolVersion running_glibc();
[[nodiscard]] SymbolVersion running_libstdcxx();  // the newest GLIBCXX_ that the libstdc++ of this process has

}  // namespace kiln::cache
