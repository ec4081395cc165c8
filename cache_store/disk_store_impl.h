// The store of a folder, in three files: what is in it (disk_store.cc), room and pins (disk_store_room.cc), what comes in as
// a stream (disk_upload.cc). Used inside of cache_store/ alone; others open one with disk_store.h.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cache_store/disk_store.h"
#include "cache_store/store_folders.h"
#include "cache_store/store_index.h"
#include "cache_store/verified_read.h"

namespace kiln::cache {

// Reads take no lock: a file in its final name never changes, it only goes away. Everything that changes a name
// (publish, upload, pin, eviction, quarantine) holds `names_`, and a reader that saw something bad looks again under
// it before anything is moved, so that it cannot move away what a publish has just put right. `mutex_` guards index
// and counters for moments only; it is taken inside of `names_`, never the other way.
class DiskStore final : public LocalStore {
 public:
  DiskStore(FileSystem& files, DiskStoreOptions options, std::unique_ptr<FileLock> lock);

  Status start();
  Result<std::optional<StoredArtifact>> find(const Digest& key) override;
  Result<PublishOutcome> publish(const Digest& key, std::string_view envelope, int content_fd) override;
  Result<Digest> put_blob(std::span<const std::byte> bytes) override;
  Result<std::optional<UniqueFd>> get_blob(const Digest& digest) override;
  StoreStats stats() const override;

  Result<std::unique_ptr<BlobUpload>> begin_blob(const Digest& digest, std::uint64_t bytes,
                                                 const std::string& owner) override;
  Result<PublishOutcome> adopt_blob(const Digest& digest, const std::string& name, std::uint64_t bytes_max,
                                    const std::string& owner) override;
  Status release_blob(const Digest& digest, const std::string& owner) override;
  Result<std::optional<OpenBlob>> open_blob(const Digest& digest, bool again) override;
  Result<PinOutcome> pin(const std::string& owner, const std::vector<Digest>& digests) override;
  Result<std::uint64_t> unpin(const std::string& owner) override;
  Result<std::uint64_t> unpin_others(const std::string& owner, const std::vector<Digest>& kept) override;
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
  // True: it is there, and pinned. False: room for it is set aside.
  Result<bool> acknowledge_or_reserve(const Digest& digest, std::uint64_t bytes, const std::string& owner);
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

}  // namespace kiln::cache
