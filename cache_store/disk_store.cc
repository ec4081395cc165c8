#include "cache_store/disk_store.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "base/text.h"
#include "cache_store/store_folders.h"
#include "cache_store/store_index.h"
#include "cache_store/verified_read.h"

namespace kiln::cache {
namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;

std::int64_t system_now_unix_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Reads take no lock: a file in its final name never changes, it only goes away. Everything that changes a name
// (publish, upload, pin, eviction, quarantine) holds `names_`, and a reader that saw something bad looks again under
// it before anything is moved, so that it cannot move away what a publish has just put right. `mutex_` guards index
// and counters for moments only; it is taken inside of `names_`, never the other way.
class DiskStore final : public LocalStore {
 public:
  DiskStore(FileSystem& files, DiskStoreOptions options, std::unique_ptr<FileLock> lock)
      : files_(files), options_(std::move(options)), lock_(std::move(lock)), folders_(files, options_.root) {
    if (!options_.now_unix_s) options_.now_unix_s = &system_now_unix_s;
    trusted_ = std::make_shared<const TrustedKeys>(std::move(options_.trusted));
  }

  Status start();
  Result<std::optional<StoredArtifact>> find(const Digest& key) override;
  Result<PublishOutcome> publish(const Digest& key, std::string_view envelope, int content_fd) override;
  Result<Digest> put_blob(std::span<const std::byte> bytes) override;
  Result<std::optional<UniqueFd>> get_blob(const Digest& digest) override;
  StoreStats stats() const override;

  Result<std::unique_ptr<BlobUpload>> begin_blob(const Digest& digest, std::uint64_t bytes,
                                                 const std::string& owner) override;
  Result<std::optional<OpenBlob>> open_blob(const Digest& digest, bool again) override;
  Result<PinOutcome> pin(const std::string& owner, const std::vector<Digest>& digests) override;
  Result<std::uint64_t> unpin(const std::string& owner) override;
  std::vector<Digest> pins_of(const std::string& owner) const override;
  std::vector<std::string> pin_owners() const override;
  Result<bool> scrub_one() override;
  void set_trusted(TrustedKeys trusted) override {
    const std::lock_guard guard(mutex_);
    trusted_ = std::make_shared<const TrustedKeys>(std::move(trusted));
  }

 private:
  friend class DiskUpload;
  using Events = std::vector<StoreEvent>;

  Result<ArtifactRead> read(const Digest& key) {
    return read_artifact(files_, folders_, key, *trusted(), options_.now_unix_s());
  }
  std::shared_ptr<const TrustedKeys> trusted() const {
    const std::lock_guard guard(mutex_);
    return trusted_;
  }
  Status index_keys();
  void count_hit(const Digest& digest, int content_fd);
  template <typename Change>
  void count(Change&& change) {
    const std::lock_guard guard(mutex_);
    change(stats_);
  }
  void tell(const Events& events) const {
    if (!options_.on_event) return;
    for (const StoreEvent& event : events) options_.on_event(event);
  }
  Result<std::optional<OpenBlob>> open_checked(const Digest& digest, bool again);
  bool is_verified(const Digest& digest) const;
  void note_verified(const Digest& digest);

  // The following hold names_.
  void put_away(const BadEntry& bad, const std::string& name, Events& events);
  // The index learns what is there under this name now, and what was set aside for it is given back, in one step.
  void look_again(const Digest& digest, std::uint64_t released_bytes = 0);
  Status reserve(std::uint64_t bytes);    // evicts where it may; release() it when the bytes are there, or will not be
  void release(std::uint64_t bytes);
  Status evict(const Eviction& eviction);
  Status write_pins(const std::string& owner, const std::vector<Digest>& digests);
  Status acknowledge_blob(const Digest& digest, const std::string& owner);
  Status ensure_blob(const Digest& digest, std::span<const std::byte> bytes, Events& events);
  Result<PublishOutcome> publish_named(const Digest& key, std::string_view envelope, const Digest& content,
                                       std::span<const std::byte> bytes, Events& events);

  FileSystem& files_;
  DiskStoreOptions options_;
  std::unique_ptr<FileLock> lock_;
  StoreFolders folders_;
  std::mutex names_;
  mutable std::mutex mutex_;
  // With mutex_:
  StoreIndex index_;
  StoreStats stats_;
  std::uint64_t reserved_ = 0;
  std::optional<Digest> scrub_cursor_;
  std::shared_ptr<const TrustedKeys> trusted_;
};

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

Status DiskStore::reserve(std::uint64_t bytes) {
  Eviction eviction;
  {
    const std::lock_guard guard(mutex_);
    const std::uint64_t taken = index_.used_bytes() + reserved_;
    const bool fits = bytes <= options_.budget_bytes && taken <= options_.budget_bytes - bytes;
    std::optional<Eviction> plan;
    if (fits) plan = Eviction{};
    if (!fits && options_.evicts && bytes <= options_.budget_bytes) {
      plan = index_.plan_eviction(taken + bytes - options_.budget_bytes, options_.now_unix_s());
    }
    if (!plan) {
      ++stats_.budget_refusals;
      return fail(io_error("store {} holds {} and may hold {}: {} more do not fit. {}", options_.root,
                           format_bytes(taken), format_bytes(options_.budget_bytes), format_bytes(bytes),
                           options_.evicts ? "What it holds is in use; give it a larger --budget"
                                           : "Remove the folder, or name another one with --state"));
    }
    eviction = std::move(*plan);
  }
  KILN_TRY(evict(eviction));
  const std::lock_guard guard(mutex_);
  index_.forget(eviction);
  stats_.evictions += eviction.blobs.size();
  stats_.evicted_bytes += eviction.bytes;
  reserved_ += bytes;
  return {};
}

void DiskStore::release(std::uint64_t bytes) {
  const std::lock_guard guard(mutex_);
  reserved_ -= bytes;
}

// Keys first, and durably: one that leads to nothing would look like damage.
Status DiskStore::evict(const Eviction& eviction) {
  for (const Digest& key : eviction.keys) KILN_TRY(folders_.remove_key(key));
  if (!eviction.keys.empty()) KILN_TRY(folders_.sync_keys());
  for (const Digest& digest : eviction.blobs) KILN_TRY(folders_.remove_blob(digest));
  return {};
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

Status DiskStore::write_pins(const std::string& owner, const std::vector<Digest>& digests) {
  if (owner.empty() || digests.empty()) return {};
  for (const Digest& digest : digests) KILN_TRY(folders_.write_pin(owner, digest));
  KILN_TRY(folders_.sync_pins());
  const std::lock_guard guard(mutex_);
  for (const Digest& digest : digests) index_.pin(owner, digest);
  return {};
}

// Whoever put it there may have died before it was durable.
Status DiskStore::acknowledge_blob(const Digest& digest, const std::string& owner) {
  bool durable = false;
  {
    const std::lock_guard guard(mutex_);
    durable = index_.durable(digest);
    index_.touch(digest);
  }
  if (!durable) {
    KILN_TRY(folders_.make_blob_durable(digest));
    const std::lock_guard guard(mutex_);
    index_.set_durable(digest);
  }
  return write_pins(owner, {digest});
}

// One upload: a temp file, its hash so far, and the room that was set aside for it.
class DiskUpload final : public BlobUpload {
 public:
  DiskUpload(DiskStore& store, const Digest& digest, std::uint64_t bytes, std::string owner)
      : store_(store), digest_(digest), bytes_(bytes), owner_(std::move(owner)),
        temp_(store.folders_.temp_folder() + "/" + random_temp_name()) {}
  ~DiskUpload() override {
    if (finished_) return;
    file_.reset();
    // Best effort; the next start sweeps what stays.
    [[maybe_unused]] const Status removed = store_.files_.remove_file(temp_);
    store_.release(bytes_);
    store_.count([&](StoreStats& stats) { ++(refused_ ? stats.uploads_refused : stats.uploads_cut); });
  }

  Status open() {
    KILN_TRY_ASSIGN(file_, store_.files_.create_exclusive(temp_, 0600));
    return {};
  }
  Status append(std::span<const std::byte> bytes) override {
    received_ += bytes.size();
    if (received_ > bytes_) return refuse("more bytes came than were announced");
    hash_.update(bytes);
    return file_->append(bytes);
  }
  Result<PublishOutcome> commit() override;

 private:
  Status refuse(std::string_view why) {
    refused_ = true;
    return fail(make_error(ErrorCode::kDataLoss, "blob {} is not stored: {}", digest_.hex(), why));
  }
  Result<PublishOutcome> commit_named();

  DiskStore& store_;
  const Digest digest_;
  const std::uint64_t bytes_;
  const std::string owner_;
  const std::string temp_;
  std::unique_ptr<WritableFile> file_;
  Sha256 hash_;
  std::uint64_t received_ = 0;
  bool refused_ = false;
  bool finished_ = false;
};

Result<PublishOutcome> DiskUpload::commit() {
  if (received_ != bytes_) return fail(refuse("fewer bytes came than were announced").error());
  if (const Digest actual = hash_.finish(); actual != digest_) {
    return fail(refuse(fmt::format("the bytes have SHA-256 {}", actual.hex())).error());
  }
  KILN_TRY(file_->sync());
  KILN_TRY(file_->close());
  const std::lock_guard names(store_.names_);
  return commit_named();
}

Result<PublishOutcome> DiskUpload::commit_named() {
  bool there = false;
  {
    const std::lock_guard guard(store_.mutex_);
    there = store_.index_.has_blob(digest_);
  }
  if (there) {  // somebody else's upload was first; ours goes with this object
    KILN_TRY(store_.acknowledge_blob(digest_, owner_));
    store_.count([](StoreStats& stats) { ++stats.uploads_already_there; });
    refused_ = false;
    finished_ = true;
    [[maybe_unused]] const Status removed = store_.files_.remove_file(temp_);
    store_.release(bytes_);
    return PublishOutcome::kAlreadyThere;
  }
  const Status installed = store_.folders_.install_blob(temp_, digest_);
  store_.look_again(digest_, installed ? bytes_ : 0);
  KILN_TRY(installed);
  finished_ = true;
  store_.note_verified(digest_);
  store_.count([&](StoreStats& stats) {
    ++stats.uploads;
    stats.bytes_written += bytes_;
  });
  {
    const std::lock_guard guard(store_.mutex_);
    store_.index_.set_durable(digest_);
  }
  KILN_TRY(store_.write_pins(owner_, {digest_}));
  return PublishOutcome::kStored;
}

Result<std::unique_ptr<BlobUpload>> DiskStore::begin_blob(const Digest& digest, std::uint64_t bytes,
                                                          const std::string& owner) {
  KILN_TRY_ASSIGN(const auto existing, open_checked(digest, false));
  {
    const std::lock_guard names(names_);
    bool there = false;
    {
      const std::lock_guard guard(mutex_);
      there = existing && index_.has_blob(digest);
    }
    if (there) {
      KILN_TRY(acknowledge_blob(digest, owner));
      count([](StoreStats& stats) { ++stats.uploads_already_there; });
      return std::unique_ptr<BlobUpload>();
    }
    KILN_TRY(reserve(bytes));
  }
  auto upload = std::make_unique<DiskUpload>(*this, digest, bytes, owner);
  KILN_TRY(upload->open());
  return std::unique_ptr<BlobUpload>(std::move(upload));
}

Result<PinOutcome> DiskStore::pin(const std::string& owner, const std::vector<Digest>& digests) {
  const std::lock_guard names(names_);
  PinOutcome outcome;
  std::vector<Digest> there;
  {
    const std::lock_guard guard(mutex_);
    for (const Digest& digest : digests) (index_.has_blob(digest) ? there : outcome.missing).push_back(digest);
  }
  KILN_TRY(write_pins(owner, there));
  outcome.pinned = there.size();
  return outcome;
}

Result<std::uint64_t> DiskStore::unpin(const std::string& owner) {
  const std::lock_guard names(names_);
  const std::vector<Digest> had = pins_of(owner);
  for (const Digest& digest : had) KILN_TRY(folders_.remove_pin(owner, digest));
  if (!had.empty()) KILN_TRY(folders_.sync_pins());
  const std::lock_guard guard(mutex_);
  return index_.unpin(owner).size();
}

std::vector<Digest> DiskStore::pins_of(const std::string& owner) const {
  const std::lock_guard guard(mutex_);
  return index_.pins_of(owner);
}

std::vector<std::string> DiskStore::pin_owners() const {
  const std::lock_guard guard(mutex_);
  return index_.pin_owners();
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
