#include "cache_store/lease_table.h"

#include <algorithm>

namespace kiln::cache {

LeaseAnswer LeaseTable::take(const Digest& key, const Fence& fence, std::int64_t seconds, std::int64_t now_unix_s) {
  const std::int64_t expires = now_unix_s + std::clamp<std::int64_t>(seconds, 1, kLeaseSecondsMax);
  const auto at = leases_.find(key);
  if (at == leases_.end()) {
    if (leases_.size() >= kLeasesMax) drop_expired(now_unix_s);
    if (leases_.size() >= kLeasesMax) return LeaseAnswer::kTableFull;
    leases_[key] = {fence, expires};
    return LeaseAnswer::kGranted;
  }
  const Lease& held = at->second;
  if (held.fence.task == fence.task) {
    if (fence.attempt < held.fence.attempt) return LeaseAnswer::kOutdated;
  } else if (held.expires_unix_s > now_unix_s) {
    return LeaseAnswer::kHeld;
  }
  at->second = {fence, expires};
  return LeaseAnswer::kGranted;
}

void LeaseTable::give_back(const Digest& key, const Fence& fence) {
  const auto at = leases_.find(key);
  // The entry stays, expired: it still fences off earlier attempts.
  if (at != leases_.end() && at->second.fence == fence) at->second.expires_unix_s = 0;
}

bool LeaseTable::may_publish(const Digest& key, const Fence& fence, std::int64_t now_unix_s) const {
  const auto at = leases_.find(key);
  if (at == leases_.end()) return true;
  if (at->second.fence.task == fence.task) return fence.attempt >= at->second.fence.attempt;
  return at->second.expires_unix_s <= now_unix_s;
}

std::optional<Lease> LeaseTable::find(const Digest& key) const {
  const auto at = leases_.find(key);
  return at == leases_.end() ? std::nullopt : std::optional(at->second);
}

void LeaseTable::drop_expired(std::int64_t now_unix_s) {
  std::erase_if(leases_, [&](const auto& entry) { return entry.second.expires_unix_s <= now_unix_s; });
}

}  // namespace kiln::cache
