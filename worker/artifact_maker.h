// What is done with a library between the compile child and the store. No state; any thread.
#pragma once

#include <memory>
#include <string>

#include "worker/artifact_builder.h"

namespace kiln::worker {

struct MakerContext {
  const ArtifactBuilderOptions* options = nullptr;
  cache::Store* store = nullptr;
  const cache::SigningKey* signing_key = nullptr;
};

// Checks the file, seals it, signs key → content with what was measured, publishes it. When somebody's
// publish of that key was first, theirs is returned.
[[nodiscard]] Result<std::shared_ptr<const ReadyArtifact>> make_artifact(
    const MakerContext& context, const sharding::CompileKey& key,
    const std::vector<sharding::TensorSpec>& inputs, CompiledLibrary made);

// The same for kernels of our own: a cubin for cards of `arch`.
[[nodiscard]] Result<std::shared_ptr<const ReadyArtifact>> make_kernel_artifact(const MakerContext& context,
                                                                                const sharding::CompileKey& key,
                                                                                const std::string& arch, CompiledLibrary made);

// What the store has, as lanes are offered it; nullptr: a miss.
[[nodiscard]] Result<std::shared_ptr<const ReadyArtifact>> find_artifact(cache::Store& store,
                                                                         const sharding::CompileKey& key);

}  // namespace kiln::worker
