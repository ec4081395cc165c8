// The package of a text-to-video model as the worker holds it: the manifest, and a descriptor of each file that a lane opens.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "net/farm_tasks.h"
#include "sharding/package/generator_manifest.h"
#include "worker/blob_cache.h"

namespace kiln::worker {

struct GeneratorFiles {
  std::string manifest_text;
  Digest digest;  // of the manifest, which names the hashes of all files
  sharding::GeneratorManifest manifest;
  struct File {
    std::string name;  // in the package
    UniqueFd fd;
    BlobPin pin{};  // of a file of this host's cache; nullptr: it is sealed, or lies where every worker sees it
  };
  // Sealed copies of the graphs of all dtypes and of the tokenizer, each checked against its hash.
  std::vector<File> parts;
  // Many gigabytes: no copies. What came through the store was hashed then; of what lies where every worker sees it the size is checked.
  std::vector<File> weights;  // none: only to be looked at

  // Whether a lane that renders in `dtype` opens that file: it has no use for the graphs of others.
  [[nodiscard]] bool is_for(std::string_view file, sharding::GraphDtype dtype) const;
  [[nodiscard]] Result<sharding::ExportedGraph> graph(std::string_view component, sharding::GraphDtype dtype) const;
};

struct GeneratorLoaders {
  std::function<Result<UniqueFd>(const std::string& file, const Digest& expected)> sealed;
  std::function<Result<GeneratorFiles::File>(const sharding::GeneratorFile& file)> weights;
};
[[nodiscard]] Result<GeneratorFiles> open_generator(std::string manifest_text, const GeneratorLoaders& load, bool with_weights);

// The file of a package that stays where it is.
[[nodiscard]] Result<GeneratorFiles::File> open_in_place(const sharding::GeneratorFile& file, const std::string& place);

// How a shot is planned: what it takes in each dtype. None where the model cannot make it.
struct ShotChoices {
  std::vector<net::TileChoice> choices;
  std::string reason;  // why there is none
};
[[nodiscard]] ShotChoices choose_for_shot(const GeneratorFiles& files, const net::Shot& shot, const std::vector<std::string>& dtypes);

}  // namespace kiln::worker
