// What tasks need from elsewhere: packages, descriptions, sources, segments, artifacts.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "net/farm_worker_messages.h"
#include "worker/artifact_maker.h"
#include "worker/blob_cache.h"
#include "worker/generator_files.h"
#include "worker/model_package.h"
#include "worker/store_access.h"

namespace kiln::worker {

inline constexpr std::uint64_t kDescriptionBytesMax = 256U << 20U;
inline constexpr std::size_t kPackagesKept = 4;    // that are open, weights in memory
inline constexpr std::size_t kArtifactsKept = 16;  // in memory
// A source is fetched whole by the host that looks at all of it anyway, if it is no more than this part of the cache.
inline constexpr std::uint64_t kWholeSourceShare = 4;

struct TaskFiles {
  std::shared_ptr<const ModelPackage> package;
  std::shared_ptr<const GeneratorFiles> generator;  // of a shot, in its place
  std::shared_ptr<const UniqueFd> description;  // sealed
  std::string location;                         // of the source, for lanes; empty: where its description says
  std::vector<BlobPin> segments;                // of a join
  std::vector<std::string> lost_segments;       // of a join: hashes of what the store has no more
  BlobPin source;                               // when it is here as a whole
  std::shared_ptr<const ReadyArtifact> artifact;
  sharding::CompileKey compile_key;
  double seconds = 0.0;  // that fetching took
};

// Who compiles here, for compile tasks.
struct CompileIdentity {
  sharding::CompileTarget target;
  sharding::Toolchain toolchain;
  std::string device_name{};  // of the card that the compile child sees; empty: it sees none
};

using CompileIdentities = std::map<LaneId, CompileIdentity>;  // by the place that compiles

// Any thread. What it borrows outlives it.
class TaskFileFetcher {
 public:
  TaskFileFetcher(StoreAccess& store, BlobCache& cache, CompileIdentities compiles);

  struct Failure {
    net::TaskFault fault;
    Error error;
  };
  [[nodiscard]] tl::expected<TaskFiles, Failure> fetch(const net::Assign& assign);
  // nullptr: the store has none that can be trusted.
  [[nodiscard]] Result<std::shared_ptr<const ReadyArtifact>> fetch_artifact(const std::string& key_hex);
  // Those that were let go of since more than are kept came after them.
  [[nodiscard]] std::uint64_t packages_let_go() const { return packages_let_go_; }
  [[nodiscard]] std::uint64_t artifacts_let_go() const { return artifacts_let_go_; }

 private:
  [[nodiscard]] Status fetch_into(const net::Assign& assign, TaskFiles& files);
  [[nodiscard]] Result<BlobPin> fetch_blob(const net::BlobRef& blob);
  [[nodiscard]] Result<UniqueFd> load_sealed(const net::PackageRef& package, const std::string& file, const Digest& expected);
  [[nodiscard]] Result<std::shared_ptr<const ModelPackage>> fetch_package(const net::PackageRef& package,
                                                                          std::vector<sharding::GraphDtype> dtypes);
  [[nodiscard]] Result<std::shared_ptr<const GeneratorFiles>> fetch_generator(const net::PackageRef& package, bool with_weights);
  [[nodiscard]] Status fetch_description(const net::BlobRef& blob, TaskFiles& files);
  [[nodiscard]] Status find_source(const net::ClipSource& source, bool reads_all, TaskFiles& files);
  // Looks at all of them: what is lost is rendered again, all at once.
  [[nodiscard]] Status fetch_segments(const net::JoinSpec& spec, TaskFiles& files);
  [[nodiscard]] Status fetch_for_compile(const net::CompileSpec& spec, const net::Assign& assign, TaskFiles& files);

  StoreAccess& store_;
  BlobCache& cache_;
  const CompileIdentities compiles_;
  std::mutex package_mutex_;  // held while one is opened: lanes that want the same wait for it
  std::vector<std::shared_ptr<const ModelPackage>> packages_;  // latest use last
  std::vector<std::shared_ptr<const GeneratorFiles>> generators_;  // likewise
  std::atomic<std::uint64_t> packages_let_go_ = 0;
  std::mutex artifact_mutex_;
  std::vector<std::shared_ptr<const ReadyArtifact>> ready_;  // likewise
  std::atomic<std::uint64_t> artifacts_let_go_ = 0;
};

// The key of what a compile task makes, as the coordinator computes it.
[[nodiscard]] Result<sharding::CompileKey> compile_key_of(const ModelPackage& package, const ModelPackage::Graph& graph,
                                                          const net::CompileSpec& spec, const CompileIdentity& identity);

}  // namespace kiln::worker
