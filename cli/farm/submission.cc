#include "cli/farm/submission.h"

#include <filesystem>
#include <set>

#include "base/fd.h"
#include "base/log.h"
#include "cli/farm/blob_transfer.h"
#include "cli/farm/generator_upload.h"
#include "sharding/compile_settings.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

Status upload_package(BlobTransfer& store, const std::string& folder, net::JobRequest& request,
                      const UploadProgress& progress) {
  KILN_TRY_ASSIGN(PackageManifestFile file, read_package_manifest(folder));
  const sharding::PackageManifest& manifest = file.manifest;
  request.manifest = std::move(file.text);
  KILN_TRY(upload_package_file(store, request.package, folder, {"manifest.toml", {}}, progress));
  KILN_TRY(upload_package_file(store, request.package, folder, {manifest.weights.file, manifest.weights.sha256}, progress));
  std::set<std::string> sent;
  for (const sharding::PackageGraph& graph : manifest.graphs) {
    if (!sent.insert(graph.file).second) continue;
    KILN_TRY(upload_package_file(store, request.package, folder, {graph.file, graph.sha256}, progress));
  }
  return {};
}

// As lanes take it: what is there is that file, whatever its name looks like.
bool is_image_source(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error)) return fs::is_directory(path, error);
  return path.find_first_of("%*?[") != std::string::npos;
}

Status upload_source(BlobTransfer& store, net::ClipSource& source, bool in_place, const UploadProgress& progress) {
  std::error_code error;
  source.path = fs::absolute(source.path, error).string();
  if (in_place || is_image_source(source.path)) {
    source.in_place = true;
    if (!is_image_source(source.path) && !fs::exists(source.path, error)) {
      return fail(input_missing("{}: no such file", source.path));
    }
    return {};
  }
  progress(source.path);
  KILN_TRY_ASSIGN(source.blob, store.upload(source.path));
  source.path = fs::path(source.path).filename().string();
  return {};
}

}  // namespace

Status upload_package_file(BlobTransfer& store, net::PackageRef& package, const std::string& folder, const NamedFile& file,
                           const UploadProgress& progress) {
  const std::string path = folder + "/" + file.name;
  progress(path);
  KILN_TRY_ASSIGN(net::BlobRef blob, store.upload(path));
  if (!file.sha256.empty() && blob.sha256 != file.sha256) {
    return fail(input_refused("{}: was changed since the package was made; import the model again", path));
  }
  package.files.push_back({file.name, std::move(blob)});
  return {};
}

Result<PackageManifestFile> read_package_manifest(const std::string& folder) {
  const std::string path = folder + "/manifest.toml";
  auto text = read_file(path, sharding::kManifestBytesMax);
  if (!text) {
    const bool missing = text.error().code == ErrorCode::kNotFound;
    Error error = missing ? input_missing("{}: no model package", folder) : input_refused("{}: is no model package", folder);
    error.message += fmt::format(" ({}). Make one with: kiln import upscaler FILE -o PACKAGE", text.error().message);
    return fail(std::move(error));
  }
  KILN_TRY_ASSIGN(auto manifest, sharding::parse_package_manifest(*text, path));
  return PackageManifestFile{std::move(*text), std::move(manifest)};
}

Status check_available(const net::CompileSettings& settings) {
  KILN_TRY_ASSIGN(const auto known, sharding::compile_settings_of(settings));
  if (auto lacks = sharding::find_unavailable(known)) return fail(std::move(lacks->error));
  return {};
}

Status submit_job(FarmLink& link, JobDraft draft, const UploadProgress& progress) {
  net::JobRequest& request = draft.request;
  GeneratorManifestFile generator;
  const bool generates = request.kind == net::JobKind::kGenerate;
  if (generates) {
    KILN_TRY_ASSIGN(generator, read_generator_manifest(draft.model));
    KILN_TRY(check_shots(generator.manifest, request));
  }
  KILN_TRY_ASSIGN(const auto settings, sharding::compile_settings_of(request.compile));
  for (const std::string& line : sharding::without_effect(settings)) log::warn("compile settings: {}", line);
  KILN_TRY_ASSIGN(net::Grants grants, link.ask_for<net::Grants>(net::AskGrants{request.job, true}));
  KILN_TRY_ASSIGN(BlobTransfer store, BlobTransfer::open(std::move(grants)));
  if (generates) {
    KILN_TRY(upload_generator(store, draft.model, std::move(generator), draft.in_place, request, progress));
    KILN_TRY(link.ask_for<net::Done>(net::Submit{std::move(request)}));
    return {};
  }
  KILN_TRY(upload_package(store, draft.model, request, progress));
  for (net::ClipRequest& clip : request.clips) KILN_TRY(upload_source(store, clip.source, draft.in_place, progress));
  KILN_TRY(link.ask_for<net::Done>(net::Submit{std::move(request)}));
  return {};
}

}  // namespace kiln::cli
