// Reading out of a store's folders: a sealed copy that verifies, or the reason why there is none.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/file_system.h"
#include "cache_store/artifact_trust.h"
#include "cache_store/blob_store.h"
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
using BlobOpen = std::variant<Absent, BadEntry, OpenBlob>;

// Errors are those of this process (no memory, no descriptors); a bad or unreadable file is a BadEntry.
[[nodiscard]] Result<ArtifactRead> read_artifact(FileSystem& files, const StoreFolders& folders,
                                                 const Digest& key, const TrustedKeys& trusted,
                                                 std::int64_t now_unix_s);
[[nodiscard]] Result<BlobRead> read_blob(FileSystem& files, const StoreFolders& folders, const Digest& digest);
// The file itself, for blobs too large to copy. `hash`: only if its bytes are those of its name.
[[nodiscard]] Result<BlobOpen> open_blob_file(FileSystem& files, const StoreFolders& folders, const Digest& digest,
                                              bool hash);

}  // namespace kiln::cache
