// The package of a text-to-video model as a lane reads it: manifest, graphs, tokenizer, and the files of its weights.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/sealed_file.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/generator_manifest.h"

namespace kiln::lane {

inline constexpr std::uint64_t kPackageTokenizerBytesMax = std::uint64_t{64} << 20U;

// A file of the package, by its name there: "graphs/block-float32.pt2".
using OpenPackageFile = std::function<Result<UniqueFd>(const std::string& file)>;

// Those of a folder. Weights may be links, which the importer makes to spare copies: what they lead to is opened, if it is a
// regular file.
[[nodiscard]] OpenPackageFile files_of_folder(std::string folder);

// Immutable; any thread. What it returns was checked against the manifest.
class GeneratorPackage {
 public:
  [[nodiscard]] static Result<GeneratorPackage> open(OpenPackageFile files);

  [[nodiscard]] const sharding::GeneratorManifest& manifest() const { return manifest_; }
  // An error where the package has none of that dtype, which says what it has.
  [[nodiscard]] Result<sharding::ExportedGraph> graph(std::string_view component, sharding::GraphDtype dtype) const;
  [[nodiscard]] Result<std::string> tokenizer() const;  // the bytes of its spiece.model
  // The file's size is checked; of its content, gigabytes, the header is, by who reads it.
  [[nodiscard]] Result<Mapping> map_weights(std::string_view file) const;

 private:
  GeneratorPackage(OpenPackageFile files, sharding::GeneratorManifest manifest)
      : files_(std::move(files)), manifest_(std::move(manifest)) {}
  [[nodiscard]] Result<std::string> read_checked(const std::string& file, const std::string& sha256_hex,
                                                 std::uint64_t bytes_max) const;

  OpenPackageFile files_;
  sharding::GeneratorManifest manifest_;
};

}  // namespace kiln::lane
