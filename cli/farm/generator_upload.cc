#include "cli/farm/generator_upload.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "base/fd.h"
#include "sharding/shot_rules.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

// What a link leads to: the importer makes links to a checkpoint's files.
Result<std::string> place_of(const std::string& path, std::uint64_t bytes) {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  if (error) return fail(input_missing("{}: {}", path, error.message()));
  const std::uintmax_t found = fs::file_size(target, error);
  if (error) return fail(input_refused("{}: {}", path, error.message()));
  if (found == bytes) return target.string();
  return fail(input_refused("{}: {} bytes, and the manifest says {}; the file was changed. Import the model again", path, found, bytes));
}

}  // namespace

Result<GeneratorManifestFile> read_generator_manifest(const std::string& folder) {
  const std::string path = folder + "/manifest.toml";
  auto text = read_file(path, sharding::kManifestBytesMax);
  if (!text) {
    const bool missing = text.error().code == ErrorCode::kNotFound;
    Error error = missing ? input_missing("{}: no model package", folder) : input_refused("{}: is no model package", folder);
    error.message += fmt::format(" ({}). Make one with: kiln import diffusers FOLDER -o PACKAGE", text.error().message);
    return fail(std::move(error));
  }
  KILN_TRY_ASSIGN(auto manifest, sharding::parse_generator_manifest(*text, path));
  return GeneratorManifestFile{std::move(*text), std::move(manifest)};
}

Status check_shots(const sharding::GeneratorManifest& manifest, const net::JobRequest& request) {
  for (const net::ClipRequest& clip : request.clips) {
    if (const Status good = sharding::check_shot(manifest, sharding::shot_wish_of(clip.source.shot)); !good) {
      return fail(bad_config("{}: {}", clip.source.path, good.error().message));
    }
  }
  return {};
}

Status upload_generator(BlobTransfer& store, const std::string& folder, GeneratorManifestFile file, bool in_place,
                        net::JobRequest& request, const UploadProgress& progress) {
  const sharding::GeneratorManifest& manifest = file.manifest;
  request.manifest = std::move(file.text);
  KILN_TRY(upload_package_file(store, request.package, folder, {"manifest.toml", {}}, progress));
  KILN_TRY(upload_package_file(store, request.package, folder, {manifest.tokenizer.file, manifest.tokenizer.sha256}, progress));
  std::set<std::string> sent;
  for (const sharding::GeneratorGraph& graph : manifest.graphs) {
    if (sent.insert(graph.file).second) KILN_TRY(upload_package_file(store, request.package, folder, {graph.file, graph.sha256}, progress));
  }
  for (const sharding::GeneratorFile& weights : manifest.files) {
    if (!in_place) {
      KILN_TRY(upload_package_file(store, request.package, folder, {weights.file, weights.sha256}, progress));
      continue;
    }
    KILN_TRY_ASSIGN(std::string place, place_of(folder + "/" + weights.file, weights.bytes));
    request.package.files.push_back({weights.file, {weights.sha256, weights.bytes}, std::move(place)});
  }
  return {};
}

}  // namespace kiln::cli
