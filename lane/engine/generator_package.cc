#include "lane/engine/generator_package.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "base/file_system.h"
#include "base/sha256.h"
#include "sharding/package/pt2_archive.h"

namespace kiln::lane {
namespace {

constexpr const char* kManifestFile = "manifest.toml";

Result<UniqueFd> open_in_folder(const std::string& folder, const std::string& file) {
  // What a link leads to is found first, so that the last step follows none.
  const std::string path = folder + "/" + file;
  std::error_code error;
  const std::filesystem::path target = std::filesystem::canonical(path, error);
  if (error) return fail(input_missing("{}: {}", path, error.message()));
  return posix_file_system().open_for_read(target.string());
}

const sharding::GeneratorGraph* find_graph(const sharding::GeneratorManifest& manifest, std::string_view component,
                                           sharding::GraphDtype dtype) {
  const auto found = std::find_if(manifest.graphs.begin(), manifest.graphs.end(), [&](const auto& graph) {
    return graph.component == component && graph.dtype == dtype;
  });
  return found == manifest.graphs.end() ? nullptr : &*found;
}

std::string dtypes_of(const sharding::GeneratorManifest& manifest, std::string_view component) {
  std::string names;
  for (const sharding::GeneratorGraph& graph : manifest.graphs) {
    if (graph.component == component) names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(graph.dtype));
  }
  return names.empty() ? "none" : names;
}

}  // namespace

OpenPackageFile files_of_folder(std::string folder) {
  return [folder = std::move(folder)](const std::string& file) { return open_in_folder(folder, file); };
}

Result<GeneratorPackage> GeneratorPackage::open(OpenPackageFile files) {
  KILN_TRY_ASSIGN(const UniqueFd fd, files(kManifestFile));
  KILN_TRY_ASSIGN(const std::string text, read_to_end(fd.get(), sharding::kManifestBytesMax));
  KILN_TRY_ASSIGN(sharding::GeneratorManifest manifest, sharding::parse_generator_manifest(text, kManifestFile));
  return GeneratorPackage(std::move(files), std::move(manifest));
}

Result<std::string> GeneratorPackage::read_checked(const std::string& file, const std::string& sha256_hex,
                                                   std::uint64_t bytes_max) const {
  KILN_TRY_ASSIGN(const UniqueFd fd, files_(file));
  KILN_TRY_ASSIGN(std::string bytes, read_to_end(fd.get(), bytes_max));
  if (sha256(bytes).hex() == sha256_hex) return bytes;
  return fail(input_refused("{}: not what the manifest says; the file was changed. Import the model again", file));
}

Result<sharding::ExportedGraph> GeneratorPackage::graph(std::string_view component, sharding::GraphDtype dtype) const {
  const sharding::GeneratorGraph* entry = find_graph(manifest_, component, dtype);
  if (entry == nullptr) {
    return fail(input_refused("{}: no graph of {} in {}, but in {}; import the model with that precision", manifest_.name,
                              component, to_string(dtype), dtypes_of(manifest_, component)));
  }
  KILN_TRY_ASSIGN(const std::string bytes, read_checked(entry->file, entry->sha256, sharding::kPt2BytesMax));
  KILN_TRY_ASSIGN(const std::string_view json,
                  sharding::read_pt2_graph(std::as_bytes(std::span(bytes.data(), bytes.size()))));
  KILN_TRY_ASSIGN(sharding::ExportedGraph graph, sharding::parse_exported_graph(json, entry->file));
  KILN_TRY(sharding::check_generator_graph(manifest_, *entry, graph));
  return graph;
}

Result<std::string> GeneratorPackage::tokenizer() const {
  return read_checked(manifest_.tokenizer.file, manifest_.tokenizer.sha256, kPackageTokenizerBytesMax);
}

Result<Mapping> GeneratorPackage::map_weights(std::string_view file) const {
  const auto entry = std::find_if(manifest_.files.begin(), manifest_.files.end(),
                                  [&](const auto& item) { return item.file == file; });
  if (entry == manifest_.files.end()) return fail(input_refused("{}: not in the manifest", file));
  KILN_TRY_ASSIGN(const UniqueFd fd, files_(entry->file));
  KILN_TRY_ASSIGN(Mapping mapping, Mapping::map(fd.get()));
  if (mapping.bytes().size() == entry->bytes) return mapping;
  return fail(input_refused("{}: {} bytes, and the manifest says {}; the file was changed. Import the model again", file,
                            mapping.bytes().size(), entry->bytes));
}

}  // namespace kiln::lane
