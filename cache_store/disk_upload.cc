// Blobs that come in: as a stream, or as a file that lies here already. And those that leave as one.
#include "base/atomic_file.h"
#include "base/text.h"
#include "cache_store/disk_store_impl.h"

namespace kiln::cache {

// One upload: a temp file, its hash so far, and the room that was set aside for it.
class DiskUpload final : public BlobUpload {
 public:
  DiskUpload(DiskStore& store, const Digest& digest, std::uint64_t bytes, std::string owner, const std::string& name)
      : store_(store), digest_(digest), bytes_(bytes), owner_(std::move(owner)),
        temp_(store.folders_.temp_folder() + "/" + name) {}
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
  Result<PublishOutcome> commit_as_it_is();  // of a file that was there before this object

 private:
  Status refuse(std::string_view why) {
    refused_ = true;
    return fail(make_error(ErrorCode::kDataLoss, "blob {} is not stored: {}", digest_.hex(), why));
  }
  Result<PublishOutcome> commit_named(bool verified);

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
  return commit_named(true);
}

Result<PublishOutcome> DiskUpload::commit_as_it_is() {
  KILN_TRY(store_.files_.sync_file(temp_));
  const std::lock_guard names(store_.names_);
  KILN_TRY_ASSIGN(const PublishOutcome outcome, commit_named(false));
  if (outcome == PublishOutcome::kStored) store_.count([](StoreStats& stats) { ++stats.adopted; });
  return outcome;
}

Result<PublishOutcome> DiskUpload::commit_named(bool verified) {
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
  if (verified) store_.note_verified(digest_);
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
  KILN_TRY_ASSIGN(const bool there, acknowledge_or_reserve(digest, bytes, owner));
  if (there) return std::unique_ptr<BlobUpload>();
  auto upload = std::make_unique<DiskUpload>(*this, digest, bytes, owner, random_temp_name());
  KILN_TRY(upload->open());
  return std::unique_ptr<BlobUpload>(std::move(upload));
}

Result<bool> DiskStore::acknowledge_or_reserve(const Digest& digest, std::uint64_t bytes, const std::string& owner) {
  KILN_TRY_ASSIGN(const auto existing, open_checked(digest, false));
  const std::lock_guard names(names_);
  bool there = false;
  {
    const std::lock_guard guard(mutex_);
    there = existing && index_.has_blob(digest);
  }
  if (!there) {
    KILN_TRY(reserve(bytes));
    return false;
  }
  KILN_TRY(acknowledge_blob(digest, owner));
  count([](StoreStats& stats) { ++stats.uploads_already_there; });
  return true;
}

Result<PublishOutcome> DiskStore::adopt_blob(const Digest& digest, const std::string& name, std::uint64_t bytes_max,
                                             const std::string& owner) {
  const std::string temp = folders_.temp_folder() + "/" + name;
  if (!is_temp_name(name)) return fail(make_error(ErrorCode::kInvalidArgument, "'{}' is no name of a given file", name));
  KILN_TRY_ASSIGN(const FileInfo info, files_.stat(temp));
  if (!info.is_regular || info.size_bytes > bytes_max) {
    return fail(make_error(ErrorCode::kInvalidArgument, "the file that is given is none, or too large"));
  }
  KILN_TRY_ASSIGN(const bool there, acknowledge_or_reserve(digest, info.size_bytes, owner));
  if (!there) return DiskUpload(*this, digest, info.size_bytes, owner, name).commit_as_it_is();
  [[maybe_unused]] const Status removed = files_.remove_file(temp);  // best effort; the next start sweeps what stays
  return PublishOutcome::kAlreadyThere;
}

// Only the name goes: the file has another one, and stays what it is.
Status DiskStore::release_blob(const Digest& digest, const std::string& owner) {
  const std::lock_guard names(names_);
  {
    const std::lock_guard guard(mutex_);
    if (!index_.has_blob(digest)) return fail(make_error(ErrorCode::kNotFound, "nothing is stored as {}", digest.hex()));
    if (index_.wanted_by_others(digest, owner)) {
      return fail(make_error(ErrorCode::kFailedPrecondition, "{} is wanted by others", digest.hex()));
    }
  }
  const Status removed = folders_.remove_blob(digest);
  look_again(digest);
  KILN_TRY(removed);
  count([](StoreStats& stats) { ++stats.released; });
  return {};
}

}  // namespace kiln::cache
