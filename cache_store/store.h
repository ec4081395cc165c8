// Artifacts by key, blobs by content. The interface of the store on disk and of every later client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "cache_store/artifact_manifest.h"

namespace kiln::cache {

// An artifact as a store hands it out: verified, and in memory that nobody can change any more.
struct StoredArtifact {
  std::string envelope;  // goes to the lane with `content`; the lane verifies again
  UniqueFd content;      // sealed memory file
  ArtifactManifest manifest;
};

enum class PublishOutcome {
  kStored,
  kAlreadyThere,  // somebody's valid publish was first; find() returns that one
};

// Counters since the store was opened; all only rise, but for what is there now (used, reserved, blobs, pinned).
struct StoreStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t publishes = 0;
  std::uint64_t publishes_already_there = 0;
  std::uint64_t verify_failures = 0;     // content that is not what its digest says, or unreadable
  std::uint64_t signature_failures = 0;  // envelopes that do not hold (TrustFailure, but for content)
  std::uint64_t quarantined = 0;
  std::uint64_t quarantine_dropped = 0;  // of these, the oldest: kQuarantineFilesMax, kQuarantineBytesMax
  std::uint64_t swept_temp_files = 0;
  std::uint64_t budget_refusals = 0;
  std::uint64_t used_bytes = 0;  // on disk, without quarantine
  // Of stores that stream blobs and evict (blob_store.h).
  std::uint64_t reserved_bytes = 0;  // set aside for blobs that are on their way in
  std::uint64_t blobs = 0;
  std::uint64_t pinned_blobs = 0;
  std::uint64_t uploads = 0;
  std::uint64_t uploads_already_there = 0;
  std::uint64_t adopted = 0;   // of the uploads, files that were given as they were
  std::uint64_t released = 0;  // blobs whose file was taken away by their owner
  std::uint64_t uploads_refused = 0;  // their bytes were not those of their name
  std::uint64_t uploads_cut = 0;      // did not come whole
  std::uint64_t evictions = 0;        // blobs, with the artifacts that they belong to
  std::uint64_t evicted_bytes = 0;
  std::uint64_t scrubbed_blobs = 0;
};

// Something that an operator should see; the store has dealt with it.
struct StoreEvent {
  std::string what;    // "content_mismatch", "signature_wrong", …: a TrustFailure, or "quarantine_failed"
  std::string name;    // key or digest, hex
  std::string detail;  // one line
};

// May be called from any thread. Bad content is never an error here: it is a miss, a counter and an event.
// Errors are the disk's (full, read-only) and the caller's (a publish that does not verify).
class Store {
 public:
  virtual ~Store() = default;

  // nullopt: a miss, whatever the reason.
  [[nodiscard]] virtual Result<std::optional<StoredArtifact>> find(const Digest& key) = 0;
  // Durable when it returns. The first valid publish of a key wins. `content_fd` may be any readable file.
  [[nodiscard]] virtual Result<PublishOutcome> publish(const Digest& key, std::string_view envelope,
                                                       int content_fd) = 0;

  // Blobs are named by their SHA-256; put is durable when it returns.
  [[nodiscard]] virtual Result<Digest> put_blob(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Result<std::optional<UniqueFd>> get_blob(const Digest& digest) = 0;  // sealed copy

  [[nodiscard]] virtual StoreStats stats() const = 0;
};

}  // namespace kiln::cache
