#include "cache_store/disk_store_impl.h"

#include <algorithm>
#include <chrono>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "base/text.h"
#include "base/wall_clock.h"

namespace kiln::cache {
namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;

}  // namespace

DiskStore::DiskStore(FileSystem& files, DiskStoreOptions options, std::unique_ptr<FileLock> lock)
    : files_(files), options_(std::move(options)), lock_(std::move(lock)), folders_(files, options_.root) {
  if (!options_.now_unix_s) options_.now_unix_s = &unix_seconds;
  trusted_ = std::make_shared<const TrustedKeys>(std::move(options_.trusted));
}

Status DiskStore::start() {
  const std::lock_guard names(names_);
  KILN_TRY(folders_.create());
  KILN_TRY_ASSIGN(stats_.swept_temp_files, sweep_temp_files(files_, folders_.temp_folder()));
  KILN_TRY_ASSIGN(auto blobs, folders_.list_blobs());
  std::sort(blobs.begin(), blobs.end(), [](const FolderEntry& a, const FolderEntry& b) {
    return std::pair(a.modified_ns, a.name) < std::pair(b.modified_ns, b.name);
  });
  for (const FolderEntry& blob : blobs) {
    index_.add_blob(blob.name, blob.bytes, blob.modified_ns / kNsPerS + options_.upload_grace_s);
  }
  KILN_TRY_ASSIGN(const auto pins, folders_.list_pins());
  for (const auto& [owner, digest] : pins) index_.pin(owner, digest);
  return index_keys();
}

// Which blob belongs to which key is known from the envelopes that hold; the others wait for find() to judge them.
Status DiskStore::index_keys() {
  KILN_TRY_ASSIGN(const auto keys, folders_.list_keys());
  for (const FolderEntry& key : keys) {
    std::optional<Digest> content;
    if (auto file = files_.open_for_read(folders_.key_path(key.name))) {
      const auto envelope = read_to_end(file->get(), 2 * kManifestBytesMax);
      const auto manifest = envelope ? verify_envelope(*envelope, key.name, *trusted(), options_.now_unix_s())
                                     : Trusted<ArtifactManifest>(tl::unexpect, TrustError{});
      if (manifest) content = manifest->content_sha256;
    }
    index_.add_key(key.name, content, key.bytes);
  }
  return {};
}

StoreStats DiskStore::stats() const {
  const std::lock_guard guard(mutex_);
  StoreStats stats = stats_;
  stats.used_bytes = index_.used_bytes();
  stats.reserved_bytes = reserved_;
  stats.quarantine_dropped = folders_.quarantine_dropped();
  stats.blobs = index_.blobs();
  stats.pinned_blobs = index_.pinned_blobs();
  return stats;
}

void DiskStore::count_hit(const Digest& digest, int content_fd) {
  const auto mapping = Mapping::map(content_fd);
  const std::lock_guard guard(mutex_);
  ++stats_.hits;
  index_.touch(digest);
  if (mapping) stats_.bytes_read += mapping->bytes().size();
}

void DiskStore::put_away(const BadEntry& bad, const std::string& name, Events& events) {
  const bool signature = is_signature_failure(bad.why.reason);
  count([&](StoreStats& stats) { ++(signature ? stats.signature_failures : stats.verify_failures); });
  events.push_back({std::string(to_string(bad.why.reason)), name, bad.why.message});
  for (const std::string& path : bad.paths) {
    const auto moved = folders_.quarantine(path);
    if (!moved) events.push_back({"quarantine_failed", name, moved.error().message});
    if (moved && *moved) count([](StoreStats& stats) { ++stats.quarantined; });
    const auto digest = Digest::from_hex(path.substr(path.find_last_of('/') + 1));
    if (digest && path == folders_.key_path(*digest)) {
      const std::lock_guard guard(mutex_);
      index_.remove_key(*digest);
    } else if (digest) {
      look_again(*digest);
    }
  }
}

void DiskStore::look_again(const Digest& digest, std::uint64_t released_bytes) {
  const auto info = files_.stat(folders_.blob_path(digest));
  const std::lock_guard guard(mutex_);
  reserved_ -= released_bytes;
  if (info) {
    index_.add_blob(digest, info->size_bytes, options_.now_unix_s() + options_.upload_grace_s);
  } else {
    index_.remove_blob(digest);
  }
}

Result<std::optional<StoredArtifact>> DiskStore::find(const Digest& key) {
  KILN_TRY_ASSIGN(ArtifactRead result, read(key));
  Events events;
  if (std::holds_alternative<BadEntry>(result)) {
    const std::lock_guard names(names_);
    KILN_TRY_ASSIGN(result, read(key));
    if (const auto* bad = std::get_if<BadEntry>(&result)) put_away(*bad, key.hex(), events);
  }
  tell(events);
  if (auto* artifact = std::get_if<StoredArtifact>(&result)) {
    count_hit(artifact->manifest.content_sha256, artifact->content.get());
    return std::optional(std::move(*artifact));
  }
  count([](StoreStats& stats) { ++stats.misses; });
  return std::optional<StoredArtifact>();
}

Result<std::optional<UniqueFd>> DiskStore::get_blob(const Digest& digest) {
  KILN_TRY_ASSIGN(BlobRead result, read_blob(files_, folders_, digest));
  Events events;
  if (std::holds_alternative<BadEntry>(result)) {
    const std::lock_guard names(names_);
    KILN_TRY_ASSIGN(result, read_blob(files_, folders_, digest));
    if (const auto* bad = std::get_if<BadEntry>(&result)) put_away(*bad, digest.hex(), events);
  }
  tell(events);
  if (auto* copy = std::get_if<UniqueFd>(&result)) {
    count_hit(digest, copy->get());
    return std::optional(std::move(*copy));
  }
  count([](StoreStats& stats) { ++stats.misses; });
  return std::optional<UniqueFd>();
}

Status DiskStore::ensure_blob(const Digest& digest, std::span<const std::byte> bytes, Events& events) {
  KILN_TRY_ASSIGN(const BlobRead existing, read_blob(files_, folders_, digest));
  if (std::holds_alternative<UniqueFd>(existing)) return folders_.make_blob_durable(digest);
  if (const auto* bad = std::get_if<BadEntry>(&existing)) put_away(*bad, digest.hex(), events);
  KILN_TRY(reserve(bytes.size()));
  const Status written = folders_.write_blob(digest, bytes);
  look_again(digest, bytes.size());
  if (written) count([&](StoreStats& stats) { stats.bytes_written += bytes.size(); });
  return written;
}

Result<Digest> DiskStore::put_blob(std::span<const std::byte> bytes) {
  const Digest digest = sha256(bytes);
  Events events;
  const auto put = [&] {
    const std::lock_guard names(names_);
    return ensure_blob(digest, bytes, events);
  };
  const Status status = put();
  tell(events);
  KILN_TRY(status);
  return digest;
}

Result<PublishOutcome> DiskStore::publish_named(const Digest& key, std::string_view envelope, const Digest& content,
                                                std::span<const std::byte> bytes, Events& events) {
  KILN_TRY_ASSIGN(const ArtifactRead existing, read(key));
  if (const auto* first = std::get_if<StoredArtifact>(&existing)) {
    KILN_TRY(folders_.make_blob_durable(first->manifest.content_sha256));
    KILN_TRY(folders_.make_key_durable(key));
    count([](StoreStats& stats) { ++stats.publishes_already_there; });
    return PublishOutcome::kAlreadyThere;
  }
  if (const auto* bad = std::get_if<BadEntry>(&existing)) put_away(*bad, key.hex(), events);
  KILN_TRY(reserve(envelope.size()));
  Status written = ensure_blob(content, bytes, events);
  if (written) written = folders_.write_key(key, std::as_bytes(std::span(envelope)));
  if (const auto info = files_.stat(folders_.key_path(key))) {
    const std::lock_guard guard(mutex_);
    index_.add_key(key, content, info->size_bytes);
  }
  release(envelope.size());
  KILN_TRY(written);
  count([&](StoreStats& stats) {
    ++stats.publishes;
    stats.bytes_written += envelope.size();
  });
  return PublishOutcome::kStored;
}

Result<PublishOutcome> DiskStore::publish(const Digest& key, std::string_view envelope, int content_fd) {
  KILN_TRY_ASSIGN(const UniqueFd copy, make_sealed_from_fd("kiln-publish", content_fd));
  const auto manifest = verify_artifact(envelope, copy.get(), key, *trusted(), options_.now_unix_s());
  if (!manifest) {
    return fail(input_refused("artifact {} is not stored: {}", key.hex(), manifest.error().message));
  }
  KILN_TRY_ASSIGN(const Mapping bytes, Mapping::map(copy.get()));
  Events events;
  const auto put = [&] {
    const std::lock_guard names(names_);
    return publish_named(key, envelope, manifest->content_sha256, bytes.bytes(), events);
  };
  auto outcome = put();
  tell(events);
  return outcome;
}

bool DiskStore::is_verified(const Digest& digest) const {
  const auto info = files_.stat(folders_.blob_path(digest));
  const std::lock_guard guard(mutex_);
  return info && index_.verified(digest, {info->size_bytes, info->modified_ns});
}

void DiskStore::note_verified(const Digest& digest) {
  const auto info = files_.stat(folders_.blob_path(digest));
  const std::lock_guard guard(mutex_);
  if (info) index_.set_verified(digest, {info->size_bytes, info->modified_ns});
}

Result<std::optional<OpenBlob>> DiskStore::open_checked(const Digest& digest, bool again) {
  const auto info = files_.stat(folders_.blob_path(digest));
  const bool small = info && info->size_bytes <= kVerifyOnOpenBytesMax;
  const bool hash = again || (small && !is_verified(digest));
  KILN_TRY_ASSIGN(BlobOpen result, open_blob_file(files_, folders_, digest, hash));
  Events events;
  if (!std::holds_alternative<OpenBlob>(result)) {
    const std::lock_guard names(names_);
    KILN_TRY_ASSIGN(result, open_blob_file(files_, folders_, digest, hash));
    if (const auto* bad = std::get_if<BadEntry>(&result)) put_away(*bad, digest.hex(), events);
    if (std::holds_alternative<Absent>(result)) look_again(digest);
  }
  tell(events);
  auto* blob = std::get_if<OpenBlob>(&result);
  if (blob == nullptr) return std::optional<OpenBlob>();
  if (hash) note_verified(digest);
  return std::optional(std::move(*blob));
}

Result<std::optional<OpenBlob>> DiskStore::open_blob(const Digest& digest, bool again) {
  KILN_TRY_ASSIGN(auto blob, open_checked(digest, again));
  const std::lock_guard guard(mutex_);
  ++(blob ? stats_.hits : stats_.misses);
  if (blob) index_.touch(digest);
  return blob;
}

Result<bool> DiskStore::scrub_one() {
  std::optional<Digest> next;
  {
    const std::lock_guard guard(mutex_);
    next = scrub_cursor_ = index_.next_blob(scrub_cursor_);
  }
  if (!next) return false;
  KILN_TRY(open_checked(*next, true));
  count([](StoreStats& stats) { ++stats.scrubbed_blobs; });
  return true;
}

namespace {

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

Result<std::unique_ptr<LocalStore>> open_disk_store(FileSystem& files, DiskStoreOptions options) {
  KILN_TRY(make_directories(files, options.root));
  KILN_TRY_ASSIGN(auto lock, lock_store(files, options.root));
  auto store = std::make_unique<DiskStore>(files, std::move(options), std::move(lock));
  KILN_TRY(store->start());
  return std::unique_ptr<LocalStore>(std::move(store));
}

}  // namespace kiln::cache
