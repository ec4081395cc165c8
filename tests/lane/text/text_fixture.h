// What Python's own packages make of the same texts: written by this folder's scripts, once for each version of them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/fd.h"
#include "tests/base/shared_fixtures.h"

namespace kiln::test {

inline std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

// Runs `script` where nobody has yet. What it writes is `name`-DIGEST under the build's fixtures.
inline std::string text_fixture(const std::string& script, const std::string& name) {
  const std::string out = fmt::format("{}/fixtures/{}-{}", from_environment("KILN_BINARY_DIR"), name, recipe_digest({"tests/lane/text"}));
  if (!std::filesystem::exists(out)) {
    const std::string path = from_environment("KILN_SOURCE_DIR") + "/tests/lane/text/" + script;
    const int code = std::system(fmt::format("'{}' '{}' --out '{}' >&2", from_environment("KILN_PYTHON"), path, out).c_str());
    EXPECT_EQ(code, 0) << script;
  }
  return out;
}

inline std::string read_fixture(const std::string& path) {
  constexpr std::uint64_t kFileMax = std::uint64_t{256} << 20U;
  return read_file(path, kFileMax).value_or("");
}

}  // namespace kiln::test
