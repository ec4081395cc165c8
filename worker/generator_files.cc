#include "worker/generator_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/sealed_file.h"
#include "sharding/package/pt2_archive.h"
#include "sharding/shot_memory.h"

namespace kiln::worker {
namespace {

Result<GeneratorFiles::File> load_sealed(const GeneratorLoaders& load, const std::string& file, const std::string& sha256_hex) {
  const auto expected = Digest::from_hex(sha256_hex);
  if (!expected) return fail(input_refused("{}: {}", file, expected.error().message));
  KILN_TRY_ASSIGN(UniqueFd fd, load.sealed(file, *expected));
  return GeneratorFiles::File{file, std::move(fd)};
}

// What of two shots' needs is the same in memory and speed has the same key.
std::string key_of(const GeneratorFiles& files, const net::Shot& shot, std::string_view dtype) {
  return sha256(fmt::format("shot {} {} {}", files.digest.hex(), dtype, shot.frames)).hex();
}

Result<net::TileChoice> choose(const GeneratorFiles& files, const net::Shot& shot, const std::string& name) {
  KILN_TRY_ASSIGN(const sharding::GraphDtype dtype, sharding::graph_dtype_from_string(name));
  sharding::ExportedGraph graph;
  const auto graph_of = [&](std::string_view component, sharding::GraphDtype wanted) -> Result<const sharding::ExportedGraph*> {
    KILN_TRY_ASSIGN(graph, files.graph(component, wanted));
    return &graph;
  };
  KILN_TRY_ASSIGN(const auto need, sharding::shot_need(files.manifest, dtype, {shot.width, shot.height, shot.frames}, graph_of));
  net::TileChoice out;
  out.graph_sha256 = key_of(files, shot, name);
  out.height = shot.height;
  out.width = shot.width;
  out.computed_pixels = static_cast<std::int64_t>(shot.height) * shot.width;
  out.dtype = name;
  out.activation_bytes = need.peak_bytes();
  out.card_bytes = need.peak_bytes();
  return out;
}

}  // namespace

Result<sharding::ExportedGraph> GeneratorFiles::graph(std::string_view component, sharding::GraphDtype dtype) const {
  const auto entry = std::find_if(manifest.graphs.begin(), manifest.graphs.end(), [&](const sharding::GeneratorGraph& one) {
    return one.component == component && one.dtype == dtype;
  });
  if (entry == manifest.graphs.end()) {
    return fail(input_refused("{}: no graph of {} in {}; import the model with that precision", manifest.name, component, to_string(dtype)));
  }
  const auto part = std::find_if(parts.begin(), parts.end(), [&](const File& one) { return one.name == entry->file; });
  KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(part->fd.get()));
  const auto json = sharding::read_pt2_graph(mapping.bytes());
  if (!json) return fail(input_refused("{}: {}", entry->file, json.error().message));
  KILN_TRY_ASSIGN(auto parsed, sharding::parse_exported_graph(*json, entry->file));
  KILN_TRY(sharding::check_generator_graph(manifest, *entry, parsed));
  return parsed;
}

bool GeneratorFiles::is_for(std::string_view file, sharding::GraphDtype dtype) const {
  const sharding::ShotDtypes dtypes = sharding::shot_dtypes(manifest, dtype);
  const auto of_file = [&](const sharding::GeneratorGraph& graph) { return graph.file == file; };
  if (std::none_of(manifest.graphs.begin(), manifest.graphs.end(), of_file)) return true;
  return std::any_of(manifest.graphs.begin(), manifest.graphs.end(), [&](const sharding::GeneratorGraph& graph) {
    return of_file(graph) && (graph.dtype == dtypes.text || graph.dtype == dtypes.transformer || graph.dtype == dtypes.vae);
  });
}

Result<GeneratorFiles> open_generator(std::string manifest_text, const GeneratorLoaders& load, bool with_weights) {
  GeneratorFiles out;
  out.manifest_text = std::move(manifest_text);
  out.digest = sha256(out.manifest_text);
  KILN_TRY_ASSIGN(out.manifest, sharding::parse_generator_manifest(out.manifest_text, "manifest.toml"));
  KILN_TRY_ASSIGN(auto tokenizer, load_sealed(load, out.manifest.tokenizer.file, out.manifest.tokenizer.sha256));
  out.parts.push_back(std::move(tokenizer));
  std::set<std::string> loaded;
  for (const sharding::GeneratorGraph& graph : out.manifest.graphs) {
    if (!loaded.insert(graph.file).second) continue;
    KILN_TRY_ASSIGN(auto file, load_sealed(load, graph.file, graph.sha256));
    out.parts.push_back(std::move(file));
  }
  if (!with_weights) return out;
  for (const sharding::GeneratorFile& entry : out.manifest.files) {
    KILN_TRY_ASSIGN(auto file, load.weights(entry));
    out.weights.push_back(std::move(file));
  }
  return out;
}

Result<GeneratorFiles::File> open_in_place(const sharding::GeneratorFile& file, const std::string& place) {
  UniqueFd fd(::open(place.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    return fail(input_missing("{}: {}; weights that stay where they are must be there on every worker", place,
                              errno_error(errno, "open").message));
  }
  if (S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == file.bytes) return GeneratorFiles::File{file.file, std::move(fd)};
  return fail(input_refused("{}: not the file of {} bytes that the manifest names; import the model again", place, file.bytes));
}

ShotChoices choose_for_shot(const GeneratorFiles& files, const net::Shot& shot, const std::vector<std::string>& dtypes) {
  ShotChoices out;
  for (const std::string& dtype : dtypes) {
    auto choice = choose(files, shot, dtype);
    if (choice) {
      out.choices.push_back(std::move(*choice));
    } else {
      out.reason = choice.error().message;
    }
  }
  if (out.choices.empty() && out.reason.empty()) out.reason = "no lane computes in what the package has graphs of";
  if (!out.choices.empty()) out.reason.clear();
  return out;
}

}  // namespace kiln::worker
