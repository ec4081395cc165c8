#include "worker/task_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/file_system.h"
#include "base/log.h"
#include "cache_store/verified_file.h"
#include "sharding/package/package_inputs.h"
#include "worker/fault_class.h"

namespace kiln::worker {
namespace {

// A file that a fetch writes, which adopt() takes; removed when that does not come to pass.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Result<UniqueFd> create() const {
    UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return fail(errno_error(errno, path_));
    return fd;
  }

 private:
  std::string path_;
};

// Moves what was used to the end; drops the oldest. How many went.
template <typename T>
std::uint64_t keep(std::vector<std::shared_ptr<const T>>& shelf, const std::shared_ptr<const T>& used, std::size_t most) {
  std::erase(shelf, used);
  shelf.push_back(used);
  if (shelf.size() <= most) return 0;
  shelf.erase(shelf.begin());
  return 1;
}

const net::PackageFile* find_file(const net::PackageRef& package, const std::string& path) {
  const auto found = std::find_if(package.files.begin(), package.files.end(),
                                  [&](const net::PackageFile& file) { return file.path == path; });
  return found == package.files.end() ? nullptr : &*found;
}

// What the task runs or looks at; before there were others all was float32.
Result<std::vector<sharding::GraphDtype>> dtypes_of(const net::TaskSpec& spec) {
  std::vector<std::string> names;
  if (const auto* probe = std::get_if<net::ProbeSpec>(&spec)) names = probe->dtypes;
  if (const auto* compile = std::get_if<net::CompileSpec>(&spec)) names = {compile->dtype};
  if (const auto* segment = std::get_if<net::SegmentSpec>(&spec)) names = {segment->dtype};
  if (names.empty()) return std::vector{sharding::GraphDtype::kFloat32};
  std::vector<sharding::GraphDtype> out;
  for (const std::string& name : names) {
    KILN_TRY_ASSIGN(const sharding::GraphDtype dtype, sharding::graph_dtype_from_string(name));
    out.push_back(dtype);
  }
  return out;
}

// Of tasks that have one.
const net::ClipSource* source_of(const net::TaskSpec& spec) {
  return std::visit(
      [](const auto& body) -> const net::ClipSource* {
        if constexpr (requires { body.source; }) return &body.source;
        return nullptr;
      },
      spec);
}

Error wrong_key(const std::string& here, const std::string& wanted) {
  return make_error(ErrorCode::kFailedPrecondition,
                    "the artifact's key is {} here and {} at the coordinator: toolchain or package are not the same", here,
                    wanted);
}

}  // namespace

TaskFileFetcher::TaskFileFetcher(StoreAccess& store, BlobCache& cache, CompileIdentities compiles)
    : store_(store), cache_(cache), compiles_(std::move(compiles)) {}

tl::expected<TaskFiles, TaskFileFetcher::Failure> TaskFileFetcher::fetch(const net::Assign& assign) {
  const auto start = std::chrono::steady_clock::now();
  TaskFiles files;
  if (const Status status = fetch_into(assign, files); !status) {
    net::TaskFault fault = fault_of(status.error());
    const bool other_key = std::holds_alternative<net::CompileSpec>(assign.spec) &&
                           status.error().code == ErrorCode::kFailedPrecondition;
    const bool no_artifact = status.error().code == ErrorCode::kAborted;
    if (other_key || no_artifact) fault.kind = net::FailureKind::kArtifactMismatch;
    if (!files.lost_segments.empty()) {
      fault.kind = net::FailureKind::kError;
      fault.lost_blobs = files.lost_segments;
    }
    fault.message = store_.without_grants(std::move(fault.message));
    return tl::unexpected(Failure{std::move(fault), status.error()});
  }
  files.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return files;
}

Status TaskFileFetcher::fetch_into(const net::Assign& assign, TaskFiles& files) {
  const net::ClipSource* source = source_of(assign.spec);
  const bool is_join = std::holds_alternative<net::JoinSpec>(assign.spec);
  if (source != nullptr && source->is_shot() && !is_join) {
    const bool renders = std::holds_alternative<net::SegmentSpec>(assign.spec);
    KILN_TRY_ASSIGN(files.generator, fetch_generator(assign.package, renders));
    return renders ? fetch_description(std::get<net::SegmentSpec>(assign.spec).description, files) : Status{};
  }
  if (!is_join) {
    KILN_TRY_ASSIGN(auto dtypes, dtypes_of(assign.spec));
    KILN_TRY_ASSIGN(files.package, fetch_package(assign.package, std::move(dtypes)));
  }
  if (const auto* probe = std::get_if<net::ProbeSpec>(&assign.spec)) return find_source(probe->source, true, files);
  if (const auto* compile = std::get_if<net::CompileSpec>(&assign.spec)) {
    return fetch_for_compile(*compile, assign, files);
  }
  if (const auto* join = std::get_if<net::JoinSpec>(&assign.spec)) {
    KILN_TRY(fetch_description(join->description, files));
    KILN_TRY(find_source(join->source, false, files));
    return fetch_segments(*join, files);
  }
  const auto& segment = std::get<net::SegmentSpec>(assign.spec);
  KILN_TRY(fetch_description(segment.description, files));
  KILN_TRY(find_source(segment.source, false, files));
  if (!segment.artifact_ready || segment.executor == "uncompiled") return {};
  auto artifact = fetch_artifact(segment.artifact_key);
  if (artifact && *artifact != nullptr) {
    files.artifact = std::move(*artifact);
    return {};
  }
  if (segment.executor != "compiled") return {};  // the graph runs as it is
  if (!artifact) return fail(artifact.error());
  return fail(make_error(ErrorCode::kAborted, "the store has no artifact {} that can be trusted", segment.artifact_key));
}

Result<BlobPin> TaskFileFetcher::fetch_blob(const net::BlobRef& blob) {
  if (BlobPin here = cache_.find(blob)) return here;
  const TemporaryFile file(cache_.temporary_path());
  KILN_TRY_ASSIGN(const UniqueFd fd, file.create());
  KILN_TRY(store_.fetch(blob, fd.get()));
  return cache_.adopt(blob, file.path());
}

Result<UniqueFd> TaskFileFetcher::load_sealed(const net::PackageRef& package, const std::string& file, const Digest& expected) {
  const net::PackageFile* named = find_file(package, file);
  if (named == nullptr) return fail(input_refused("{}: the manifest names it, the job's package lacks it", file));
  if (named->blob.sha256 != expected.hex()) return fail(input_refused("{}: is not what the manifest names", file));
  KILN_TRY_ASSIGN(const BlobPin pin, fetch_blob(named->blob));
  return cache::load_sealed_verified(pin->path(), expected);
}

Result<std::shared_ptr<const ModelPackage>> TaskFileFetcher::fetch_package(const net::PackageRef& ref,
                                                                          std::vector<sharding::GraphDtype> dtypes) {
  const std::lock_guard lock(package_mutex_);
  if (ref.files.empty() || ref.files[0].path != "manifest.toml") {
    return fail(input_refused("a package that does not begin with its manifest.toml"));
  }
  const net::BlobRef& manifest = ref.files[0].blob;
  for (const auto& known : packages_) {
    if (known->digest.hex() != manifest.sha256) continue;
    const auto package = known;
    if (package->is_open_for(dtypes)) {
      packages_let_go_ += keep(packages_, package, kPackagesKept);
      return package;
    }
    // Opened anew for all of them: one copy of the weights stays, once lanes have let go of the other.
    for (const sharding::GraphDtype open : package->dtypes) {
      if (std::find(dtypes.begin(), dtypes.end(), open) == dtypes.end()) dtypes.push_back(open);
    }
    std::erase(packages_, package);
    break;
  }
  KILN_TRY_ASSIGN(const BlobPin manifest_file, fetch_blob(manifest));
  KILN_TRY_ASSIGN(std::string text, read_file(manifest_file->path(), sharding::kManifestBytesMax));
  const PackageLoader load = [&](const std::string& file, const Digest& expected) { return load_sealed(ref, file, expected); };
  KILN_TRY_ASSIGN(ModelPackage opened, open_model_package(std::move(text), load, std::move(dtypes)));
  const auto package = std::make_shared<const ModelPackage>(std::move(opened));
  packages_let_go_ += keep(packages_, package, kPackagesKept);
  return package;
}

Result<std::shared_ptr<const GeneratorFiles>> TaskFileFetcher::fetch_generator(const net::PackageRef& ref, bool with_weights) {
  const std::lock_guard lock(package_mutex_);
  if (ref.files.empty() || ref.files[0].path != "manifest.toml") {
    return fail(input_refused("a package that does not begin with its manifest.toml"));
  }
  for (const auto& known : generators_) {
    if (known->digest.hex() != ref.files[0].blob.sha256 || (with_weights && known->weights.empty())) continue;
    const auto generator = known;
    packages_let_go_ += keep(generators_, generator, kPackagesKept);
    return generator;
  }
  KILN_TRY_ASSIGN(const BlobPin manifest_file, fetch_blob(ref.files[0].blob));
  KILN_TRY_ASSIGN(std::string text, read_file(manifest_file->path(), sharding::kManifestBytesMax));
  GeneratorLoaders load;
  load.sealed = [&](const std::string& file, const Digest& expected) { return load_sealed(ref, file, expected); };
  load.weights = [&](const sharding::GeneratorFile& file) -> Result<GeneratorFiles::File> {
    const net::PackageFile* named = find_file(ref, file.file);
    if (named == nullptr || named->blob.sha256 != file.sha256) return fail(input_refused("{}: is not what the manifest names", file.file));
    if (!named->place.empty()) return open_in_place(file, named->place);
    KILN_TRY_ASSIGN(const BlobPin pin, fetch_blob(named->blob));
    KILN_TRY_ASSIGN(UniqueFd fd, posix_file_system().open_for_read(pin->path()));
    return GeneratorFiles::File{file.file, std::move(fd), pin};
  };
  KILN_TRY_ASSIGN(GeneratorFiles opened, open_generator(std::move(text), load, with_weights));
  const auto generator = std::make_shared<const GeneratorFiles>(std::move(opened));
  packages_let_go_ += keep(generators_, generator, kPackagesKept);
  return generator;
}

Status TaskFileFetcher::fetch_description(const net::BlobRef& blob, TaskFiles& files) {
  if (blob.bytes > kDescriptionBytesMax) return fail(input_refused("a clip description of {} bytes", blob.bytes));
  KILN_TRY_ASSIGN(const BlobPin pin, fetch_blob(blob));
  KILN_TRY_ASSIGN(const Digest digest, Digest::from_hex(blob.sha256));
  KILN_TRY_ASSIGN(UniqueFd fd, cache::load_sealed_verified(pin->path(), digest));
  files.description = std::make_shared<const UniqueFd>(std::move(fd));
  return {};
}

// What is here as a whole is read here; else the lane reads what it needs, out of the store.
Status TaskFileFetcher::find_source(const net::ClipSource& source, bool reads_all, TaskFiles& files) {
  if (source.in_place || source.is_shot()) return {};
  files.source = cache_.find(source.blob);
  if (!files.source && reads_all && source.blob.bytes <= cache_.budget_bytes() / kWholeSourceShare) {
    KILN_TRY_ASSIGN(files.source, fetch_blob(source.blob));
  }
  files.location = files.source ? files.source->path() : store_.url_of(source.blob);
  return {};
}

Status TaskFileFetcher::fetch_segments(const net::JoinSpec& spec, TaskFiles& files) {
  std::optional<Error> lost;
  for (const net::JoinSegment& segment : spec.segments) {
    auto pin = fetch_blob(segment.blob);
    if (pin) {
      files.segments.push_back(std::move(*pin));
      continue;
    }
    if (pin.error().code != ErrorCode::kNotFound && pin.error().code != ErrorCode::kDataLoss) return fail(pin.error());
    files.lost_segments.push_back(segment.blob.sha256);
    lost = std::move(pin.error());
  }
  if (lost) return fail(lost->with_context(fmt::format("{} of {} segments are lost", files.lost_segments.size(), spec.segments.size())));
  return {};
}

Status TaskFileFetcher::fetch_for_compile(const net::CompileSpec& spec, const net::Assign& assign, TaskFiles& files) {
  const auto identity = compiles_.find(net::is_compile_lane(assign.lane) ? assign.lane : net::kCompileLane);
  if (identity == compiles_.end()) return fail(make_error(ErrorCode::kFailedPrecondition, "nothing is compiled there"));
  const ModelPackage::Graph* graph = files.package->find_graph(spec.graph);
  if (graph == nullptr) return fail(input_refused("the package has no graph {}", spec.graph));
  KILN_TRY_ASSIGN(files.compile_key, compile_key_of(*files.package, *graph, spec, identity->second));
  if (files.compile_key.hex() != spec.key) return fail(wrong_key(files.compile_key.hex(), spec.key));
  KILN_TRY_ASSIGN(const auto artifacts, store_.artifacts());
  KILN_TRY_ASSIGN(files.artifact, find_artifact(*artifacts, files.compile_key));
  return files.artifact ? Status{} : store_.take_lease(spec.key, cache::Fence{assign.task, assign.attempt.value});
}

Result<std::shared_ptr<const ReadyArtifact>> TaskFileFetcher::fetch_artifact(const std::string& key_hex) {
  KILN_TRY_ASSIGN(const Digest digest, Digest::from_hex(key_hex));
  const std::lock_guard lock(artifact_mutex_);  // lanes that want the same wait for it
  for (const auto& known : ready_) {
    if (known->key.digest != digest) continue;
    const auto artifact = known;
    artifacts_let_go_ += keep(ready_, artifact, kArtifactsKept);
    return artifact;
  }
  sharding::CompileKey key;
  key.digest = digest;
  KILN_TRY_ASSIGN(const auto artifacts, store_.artifacts());
  KILN_TRY_ASSIGN(const std::shared_ptr<const ReadyArtifact> artifact, find_artifact(*artifacts, key));
  if (artifact) artifacts_let_go_ += keep(ready_, artifact, kArtifactsKept);
  return artifact;
}

Result<sharding::CompileKey> compile_key_of(const ModelPackage& package, const ModelPackage::Graph& graph,
                                            const net::CompileSpec& spec, const CompileIdentity& identity) {
  sharding::CompileKeyInputs inputs;
  KILN_TRY_ASSIGN(inputs.settings, sharding::compile_settings_of(spec.settings));
  inputs.graph_sha256 = graph.json_sha256;
  inputs.bucket.inputs =
      sharding::package_inputs(package.manifest, package.manifest.graphs[graph.index].dtype, spec.height, spec.width);
  inputs.target = identity.target;
  if (sharding::is_autotuned(inputs.settings)) inputs.target.device_name = identity.device_name;
  inputs.toolchain = identity.toolchain;
  return sharding::make_compile_key(inputs);
}

}  // namespace kiln::worker
