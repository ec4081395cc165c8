#include <filesystem>
#include <span>

#include "base/fd.h"
#include "base/file_system.h"
#include "base/sha256.h"
#include "cli/import_command.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/graph/thread_dependence.h"
#include "sharding/package/pt2_archive.h"

namespace kiln::cli {
namespace {

Status check_hash(const std::string& path, const Digest& found, const std::string& expected) {
  if (found.hex() == expected) return {};
  return fail(input_refused("{}: not what the manifest says; the file was changed. Import the model again", path));
}

Result<sharding::ExportedGraph> read_graph(const std::string& path, const std::string& sha256_hex) {
  KILN_TRY_ASSIGN(const std::string file, read_file(path, sharding::kPt2BytesMax));
  KILN_TRY(check_hash(path, sha256(file), sha256_hex));
  KILN_TRY_ASSIGN(const std::string_view json,
                  sharding::read_pt2_graph(std::as_bytes(std::span(file.data(), file.size()))));
  return sharding::parse_exported_graph(json, path);
}

Status check_graph(const std::string& folder, const sharding::PackageGraph& entry, CheckedPackage& package) {
  const std::string path = folder + "/" + entry.file;
  KILN_TRY_ASSIGN(const sharding::ExportedGraph graph, read_graph(path, entry.sha256));
  if (sharding::find_shared_sum(graph) != nullptr) package.one_thread = true;
  if (graph.inputs.size() == package.manifest.parameters.size() + 1) return {};
  return fail(input_refused("{}: takes {} inputs, and the manifest lists the frames and {} parameters", path,
                            graph.inputs.size(), package.manifest.parameters.size()));
}

}  // namespace

Result<CheckedPackage> check_package(const std::string& folder) {
  const std::string origin = folder + "/manifest.toml";
  KILN_TRY_ASSIGN(const std::string text, read_file(origin, sharding::kManifestBytesMax));
  CheckedPackage package;
  KILN_TRY_ASSIGN(package.manifest, sharding::parse_package_manifest(text, origin));
  for (const sharding::PackageGraph& entry : package.manifest.graphs) {
    KILN_TRY(check_graph(folder, entry, package));
  }
  const std::string weights = folder + "/" + package.manifest.weights.file;
  KILN_TRY_ASSIGN(const UniqueFd file, posix_file_system().open_for_read(weights));
  KILN_TRY_ASSIGN(const Digest digest, sha256_of_fd(file.get()));
  KILN_TRY(check_hash(weights, digest, package.manifest.weights.sha256));
  return package;
}

Result<sharding::GeneratorManifest> check_generator_package(const std::string& folder) {
  const std::string origin = folder + "/manifest.toml";
  KILN_TRY_ASSIGN(const std::string text, read_file(origin, sharding::kManifestBytesMax));
  KILN_TRY_ASSIGN(sharding::GeneratorManifest manifest, sharding::parse_generator_manifest(text, origin));
  for (const sharding::GeneratorGraph& entry : manifest.graphs) {
    KILN_TRY_ASSIGN(const sharding::ExportedGraph graph, read_graph(folder + "/" + entry.file, entry.sha256));
    KILN_TRY(sharding::check_generator_graph(manifest, entry, graph));
  }
  for (const sharding::GeneratorFile& file : manifest.files) {
    const std::string path = folder + "/" + file.file;
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(path, error);
    if (error) return fail(input_missing("{}: {}", path, error.message()));
    if (bytes != file.bytes) return fail(input_refused("{}: {} bytes, and the manifest says {}", path, bytes, file.bytes));
  }
  return manifest;
}

}  // namespace kiln::cli
