// Compiled libraries for tests, made by the compile child's own Python and kept in the build folder. Another compiler,
// another recipe or another torch has a folder of its own.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/lane/engine/fixture.h"

namespace kiln::lane {

// A library in a sealed memory file, with what its manifest would say.
struct CompiledFixture {
  ArtifactSpec spec;
  UniqueFd library;
  std::string path;
};

struct CompileWish {
  std::string fixture;
  std::vector<TileShape> shapes;
};

// What is not there yet is compiled by one Python process, whose start costs as much as a compile.
[[nodiscard]] Status compile_shapes(const std::vector<CompileWish>& wishes);
// Both cases of every named fixture.
[[nodiscard]] Status compile_fixtures(const std::vector<std::string>& names);
// Both cases of compact, and the two below; on the first card instead, where `device` is "cuda".
[[nodiscard]] Status compile_compact(const std::string& device = "cpu");

// One of those, by now compiled.
[[nodiscard]] Result<CompiledFixture> load_compiled(const std::string& name, const Network& network, TileShape shape,
                                                    const std::string& device = "cpu");
// compact as one library for every size from 16x16 to 512x512.
[[nodiscard]] Result<CompiledFixture> load_open_sizes(const Network& compact, const std::string& device = "cpu");
// What no importer makes: a convolution with its weights inside.
[[nodiscard]] Result<CompiledFixture> load_with_constants(const std::string& device = "cpu");

}  // namespace kiln::lane
