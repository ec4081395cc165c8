// Blobs that come in as a stream.
#include "base/atomic_file.h"
#include "base/text.h"
#include "cache_store/disk_store_impl.h"

namespace kiln::cache {

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

}  // namespace kiln::cache
