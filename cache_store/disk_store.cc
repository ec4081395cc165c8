#include "cache_store/disk_store.h"

#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "base/text.h"
#include "cache_store/store_folders.h"
#include "cache_store/verified_read.h"

namespace kiln::cache {
namespace {

std::int64_t system_now_unix_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Reads take no lock: a file in its final name never changes, it only goes away. Everything that changes a
// name (publish, quarantine) holds `mutex_`, and a reader that saw something bad looks again under it before
// anything is moved, so that it cannot move away what a publish has just put right.
class DiskStore final : public Store {
 public:
  DiskStore(FileSystem& files, DiskStoreOptions options, std::unique_ptr<FileLock> lock)
      : files_(files), options_(std::move(options)), lock_(std::move(lock)), folders_(files, options_.root) {
    if (!options_.now_unix_s) options_.now_unix_s = &system_now_unix_s;
  }

  Status start();
  Result<std::optional<StoredArtifact>> find(const Digest& key) override;
  Result<PublishOutcome> publish(const Digest& key, std::string_view envelope, int content_fd) override;
  Result<Digest> put_blob(std::span<const std::byte> bytes) override;
  Result<std::optional<UniqueFd>> get_blob(const Digest& digest) override;
  StoreStats stats() const override {
    const std::lock_guard guard(mutex_);
    return stats_;
  }

 private:
  using Events = std::vector<StoreEvent>;

  Result<ArtifactRead> read(const Digest& key) {
    return read_artifact(files_, folders_, key, options_.trusted, options_.now_unix_s());
  }
  void count_hit(int content_fd);
  void count_miss() {
    const std::lock_guard guard(mutex_);
    ++stats_.misses;
  }
  void tell(const Events& events) const {
    if (!options_.on_event) return;
    for (const StoreEvent& event : events) options_.on_event(event);
  }

  // The following hold mutex_.
  void put_away_locked(const BadEntry& bad, const std::string& name, Events& events);
  Status reserve_locked(std::uint64_t bytes);
  Status ensure_blob_locked(const Digest& digest, std::span<const std::byte> bytes, Events& events);
  Result<PublishOutcome> publish_locked(const Digest& key, std::string_view envelope, const Digest& content,
                                        std::span<const std::byte> bytes, Events& events);
  void recount_locked() {
    if (auto bytes = folders_.used_bytes()) stats_.used_bytes = *bytes;
  }

  FileSystem& files_;
  DiskStoreOptions options_;
  std::unique_ptr<FileLock> lock_;
  StoreFolders folders_;
  mutable std::mutex mutex_;
  StoreStats stats_;
};

Status DiskStore::start() {
  const std::lock_guard guard(mutex_);
  KILN_TRY(folders_.create());
  KILN_TRY_ASSIGN(stats_.swept_temp_files, sweep_temp_files(files_, folders_.temp_folder()));
  KILN_TRY_ASSIGN(stats_.used_bytes, folders_.used_bytes());
  return {};
}

void DiskStore::count_hit(int content_fd) {
  const auto mapping = Mapping::map(content_fd);
  const std::lock_guard guard(mutex_);
  ++stats_.hits;
  if (mapping) stats_.bytes_read += mapping->bytes().size();
}

void DiskStore::put_away_locked(const BadEntry& bad, const std::string& name, Events& events) {
  if (is_signature_failure(bad.why.reason)) {
    ++stats_.signature_failures;
  } else {
    ++stats_.verify_failures;
  }
  events.push_back({std::string(to_string(bad.why.reason)), name, bad.why.message});
  for (const std::string& path : bad.paths) {
    const auto moved = folders_.quarantine(path);
    if (moved && *moved) ++stats_.quarantined;
    if (!moved) events.push_back({"quarantine_failed", name, moved.error().message});
  }
  recount_locked();
}

Result<std::optional<StoredArtifact>> DiskStore::find(const Digest& key) {
  KILN_TRY_ASSIGN(ArtifactRead result, read(key));
  Events events;
  if (std::holds_alternative<BadEntry>(result)) {
    const std::lock_guard guard(mutex_);
    KILN_TRY_ASSIGN(result, read(key));
    if (const auto* bad = std::get_if<BadEntry>(&result)) put_away_locked(*bad, key.hex(), events);
  }
  tell(events);
  if (auto* artifact = std::get_if<StoredArtifact>(&result)) {
    count_hit(artifact->content.get());
    return std::optional(std::move(*artifact));
  }
  count_miss();
  return std::optional<StoredArtifact>();
}

Result<std::optional<UniqueFd>> DiskStore::get_blob(const Digest& digest) {
  KILN_TRY_ASSIGN(BlobRead result, read_blob(files_, folders_, digest));
  Events events;
  if (std::holds_alternative<BadEntry>(result)) {
    const std::lock_guard guard(mutex_);
    KILN_TRY_ASSIGN(result, read_blob(files_, folders_, digest));
    if (const auto* bad = std::get_if<BadEntry>(&result)) put_away_locked(*bad, digest.hex(), events);
  }
  tell(events);
  if (auto* copy = std::get_if<UniqueFd>(&result)) {
    count_hit(copy->get());
    return std::optional(std::move(*copy));
  }
  count_miss();
  return std::optional<UniqueFd>();
}

Status DiskStore::reserve_locked(std::uint64_t bytes) {
  if (bytes <= options_.budget_bytes && stats_.used_bytes <= options_.budget_bytes - bytes) return {};
  ++stats_.budget_refusals;
  return fail(io_error("store {} holds {} and may hold {}: {} more do not fit. Remove the folder, or name another "
                       "one with --state",
                       options_.root, format_bytes(stats_.used_bytes), format_bytes(options_.budget_bytes),
                       format_bytes(bytes)));
}

Status DiskStore::ensure_blob_locked(const Digest& digest, std::span<const std::byte> bytes, Events& events) {
  KILN_TRY_ASSIGN(const BlobRead existing, read_blob(files_, folders_, digest));
  if (std::holds_alternative<UniqueFd>(existing)) return folders_.make_blob_durable(digest);
  if (const auto* bad = std::get_if<BadEntry>(&existing)) put_away_locked(*bad, digest.hex(), events);
  KILN_TRY(reserve_locked(bytes.size()));
  const Status written = folders_.write_blob(digest, bytes);
  recount_locked();
  if (written) stats_.bytes_written += bytes.size();
  return written;
}

Result<Digest> DiskStore::put_blob(std::span<const std::byte> bytes) {
  const Digest digest = sha256(bytes);
  Events events;
  const auto put = [&] {
    const std::lock_guard guard(mutex_);
    return ensure_blob_locked(digest, bytes, events);
  };
  const Status status = put();
  tell(events);
  KILN_TRY(status);
  return digest;
}

Result<PublishOutcome> DiskStore::publish_locked(const Digest& key, std::string_view envelope,
                                                 const Digest& content, std::span<const std::byte> bytes,
                                                 Events& events) {
  KILN_TRY_ASSIGN(const ArtifactRead existing, read(key));
  if (const auto* first = std::get_if<StoredArtifact>(&existing)) {
    KILN_TRY(folders_.make_blob_durable(first->manifest.content_sha256));
    KILN_TRY(folders_.make_key_durable(key));
    ++stats_.publishes_already_there;
    return PublishOutcome::kAlreadyThere;
  }
  if (const auto* bad = std::get_if<BadEntry>(&existing)) put_away_locked(*bad, key.hex(), events);
  KILN_TRY(reserve_locked(envelope.size()));
  KILN_TRY(ensure_blob_locked(content, bytes, events));
  const Status written = folders_.write_key(key, std::as_bytes(std::span(envelope)));
  recount_locked();
  KILN_TRY(written);
  ++stats_.publishes;
  stats_.bytes_written += envelope.size();
  return PublishOutcome::kStored;
}

Result<PublishOutcome> DiskStore::publish(const Digest& key, std::string_view envelope, int content_fd) {
  KILN_TRY_ASSIGN(const UniqueFd copy, make_sealed_from_fd("kiln-publish", content_fd));
  const auto manifest = verify_artifact(envelope, copy.get(), key, options_.trusted, options_.now_unix_s());
  if (!manifest) {
    return fail(input_refused("artifact {} is not stored: {}", key.hex(), manifest.error().message));
  }
  KILN_TRY_ASSIGN(const Mapping bytes, Mapping::map(copy.get()));
  Events events;
  const auto put = [&] {
    const std::lock_guard guard(mutex_);
    return publish_locked(key, envelope, manifest->content_sha256, bytes.bytes(), events);
  };
  auto outcome = put();
  tell(events);
  return outcome;
}

Result<std::unique_ptr<FileLock>> lock_store(FileSystem& files, const std::string& root) {
  auto lock = files.lock(root + "/lock");
  if (!lock && lock.error().code == ErrorCode::kAborted) {
    return fail(make_error(ErrorCode::kAborted, ExitCode::kTryAgain,
                           "{}: wait until that command ends, or name another folder with --state",
                           lock.error().message));
  }
  return lock;
}

}  // namespace

Result<std::unique_ptr<Store>> open_disk_store(FileSystem& files, DiskStoreOptions options) {
  KILN_TRY(make_directories(files, options.root));
  KILN_TRY_ASSIGN(auto lock, lock_store(files, options.root));
  auto store = std::make_unique<DiskStore>(files, std::move(options), std::move(lock));
  KILN_TRY(store->start());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace kiln::cache
