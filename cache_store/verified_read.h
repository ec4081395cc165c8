// Reading out of a store's folders: a sealed copy that verifies, or the reason why there is none.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/file_system.h"
#include "cache_store/artifact_trust.h"
#include "cache_store/store.h"
#include "cache_store/store_folders.h"

namespace kiln::cache {

// Something is there that must not be used: `paths` go into quarantine.
struct BadEntry {
  TrustError why;
  std::vector<std::string> paths;
};
struct Absent {};

using ArtifactRead = std::variant<Absent, BadEntry, StoredArtifact>;
using BlobRead = std::variant<Absent, BadEntry, UniqueFd>;

// Errors are those of this process (no memory, no descriptors); a bad or unreadable file is a BadEntry.
[[nodiscard]] Result<ArtifactRead> read_artifact(FileSystem& files, const StoreFolders& folders,
                                                 const Digest& key, const TrustedKeys& trusted,
                                                 std::int64_t now_unix_s);
[[nodiscard]] Result<BlobRead> read_blob(FileSystem& files, const StoreFolders& folders, const Digest& digest);

}  // namespace kiln::cache
