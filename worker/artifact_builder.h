// From a graph to a signed artifact in the store: looked up, or else compiled, checked, signed, published.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cache_store/artifact_manifest.h"
#include "cache_store/signing_key.h"
#include "cache_store/store.h"
#include "sharding/compile_key.h"
#include "worker/compile_child.h"

namespace kiln::worker {

struct ArtifactRequest {
  int pt2_fd = -1;  // sealed memory file of the graph's .pt2, its hash already checked; borrowed for the call
  std::string origin;  // names the graph in messages
  std::string component = "network";
  std::vector<sharding::TensorSpec> inputs;  // as the lane reports them: frames first, then parameters
  sharding::CompileSettings settings;
};

enum class ArtifactSource { kStore, kCompiled };

// What a lane is offered: the envelope and the sealed library that it binds. Immutable, shared by lanes.
struct ReadyArtifact {
  sharding::CompileKey key;
  std::string envelope;
  UniqueFd content;
  cache::ArtifactManifest manifest;
  ArtifactSource source = ArtifactSource::kStore;
};

struct ArtifactOutcome {
  Digest key;
  Result<std::shared_ptr<const ReadyArtifact>> artifact;
};

struct ArtifactBuilderOptions {
  CompileChildOptions child;
  sharding::CompileTarget target;
  sharding::Toolchain toolchain;
  std::uint64_t epoch = 0;  // of what is signed here; at least what the lanes' trusted keys ask for
};

struct ArtifactBuilderStats {
  std::uint64_t store_hits = 0;
  std::uint64_t compiles = 0;
  std::uint64_t failures = 0;
};

// Exactly one compile per key, however often it is asked for. Any failure is an outcome of that key alone:
// lanes go on uncompiled. One owner thread calls everything here; compiling happens on the child's thread.
// `store` and `signing_key` outlive the builder.
class ArtifactBuilder {
 public:
  ArtifactBuilder(ArtifactBuilderOptions options, cache::Store& store, const cache::SigningKey& signing_key);
  ~ArtifactBuilder();
  ArtifactBuilder(const ArtifactBuilder&) = delete;
  ArtifactBuilder& operator=(const ArtifactBuilder&) = delete;

  [[nodiscard]] Result<sharding::CompileKey> key_for(const ArtifactRequest& request) const;
  // Looks in the store at once; on a miss queues one compile. Either way the outcome comes through take(),
  // once for each key. A key that is pending or was delivered already starts nothing; one that failed is
  // tried again.
  [[nodiscard]] Result<Digest> request(const ArtifactRequest& request);
  // Starts the child ahead of a compile that is likely.
  void warm_up();

  [[nodiscard]] int ready_fd() const;  // readable while take() has something
  [[nodiscard]] std::vector<ArtifactOutcome> take();
  [[nodiscard]] std::size_t pending() const;  // keys being compiled or queued
  void cancel_pending();                      // their outcomes are kCancelled
  [[nodiscard]] ArtifactBuilderStats stats() const;
  [[nodiscard]] CompileChildStats child_stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::worker
