// Room in a store: what is set aside and what must go for it, and pins, which say what may not.
#include <set>

#include "base/text.h"
#include "cache_store/disk_store_impl.h"

namespace kiln::cache {

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
                           options_.evicts ? "What it holds is in use: remove jobs that were fetched (kiln rm), or give it a larger budget"
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

Result<std::uint64_t> DiskStore::unpin(const std::string& owner) { return unpin_others(owner, {}); }

Result<std::uint64_t> DiskStore::unpin_others(const std::string& owner, const std::vector<Digest>& kept) {
  const std::lock_guard names(names_);
  const std::set<Digest> stays(kept.begin(), kept.end());
  std::vector<Digest> goes = pins_of(owner);
  std::erase_if(goes, [&](const Digest& digest) { return stays.contains(digest); });
  for (const Digest& digest : goes) KILN_TRY(folders_.remove_pin(owner, digest));
  if (!goes.empty()) KILN_TRY(folders_.sync_pins());
  const std::lock_guard guard(mutex_);
  for (const Digest& digest : goes) index_.unpin(owner, digest);
  return goes.size();
}

std::vector<Digest> DiskStore::pins_of(const std::string& owner) const {
  const std::lock_guard guard(mutex_);
  return index_.pins_of(owner);
}

std::vector<std::string> DiskStore::pin_owners() const {
  const std::lock_guard guard(mutex_);
  return index_.pin_owners();
}

}  // namespace kiln::cache
