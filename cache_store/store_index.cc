#include "cache_store/store_index.h"

#include <algorithm>

namespace kiln::cache {

void StoreIndex::add_blob(const Digest& digest, std::uint64_t bytes, std::int64_t keep_until_unix_s) {
  remove_blob(digest);
  const std::uint64_t used = next_use_++;
  blobs_[digest] = Blob{bytes, used, keep_until_unix_s, std::nullopt, false};
  order_[used] = digest;
  used_bytes_ += bytes;
}

void StoreIndex::remove_blob(const Digest& digest) {
  const auto at = blobs_.find(digest);
  if (at == blobs_.end()) return;
  used_bytes_ -= at->second.bytes;
  order_.erase(at->second.used);
  blobs_.erase(at);
}

void StoreIndex::touch(const Digest& digest) {
  const auto at = blobs_.find(digest);
  if (at == blobs_.end()) return;
  order_.erase(at->second.used);
  at->second.used = next_use_++;
  order_[at->second.used] = digest;
}

void StoreIndex::add_key(const Digest& key, std::optional<Digest> content, std::uint64_t envelope_bytes) {
  remove_key(key);
  keys_[key] = Key{content, envelope_bytes};
  if (content) keys_of_content_[*content].insert(key);
  used_bytes_ += envelope_bytes;
}

void StoreIndex::remove_key(const Digest& key) {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return;
  used_bytes_ -= at->second.bytes;
  if (at->second.content) {
    const auto of_content = keys_of_content_.find(*at->second.content);
    of_content->second.erase(key);
    if (of_content->second.empty()) keys_of_content_.erase(of_content);
  }
  keys_.erase(at);
}

void StoreIndex::pin(const std::string& owner, const Digest& digest) {
  if (owners_[owner].insert(digest).second) ++pin_counts_[digest];
}

std::vector<Digest> StoreIndex::unpin(const std::string& owner) {
  const std::vector<Digest> had = pins_of(owner);
  for (const Digest& digest : had) unpin(owner, digest);
  return had;
}

void StoreIndex::unpin(const std::string& owner, const Digest& digest) {
  const auto at = owners_.find(owner);
  if (at == owners_.end() || at->second.erase(digest) == 0) return;
  if (at->second.empty()) owners_.erase(at);
  const auto count = pin_counts_.find(digest);
  if (--count->second > 0) return;
  pin_counts_.erase(count);
  retire(digest);
}

// What was kept for somebody and is for nobody any more goes before all else, artifacts apart.
void StoreIndex::retire(const Digest& digest) {
  const auto at = blobs_.find(digest);
  if (at == blobs_.end() || keys_of_content_.contains(digest)) return;
  order_.erase(at->second.used);
  at->second.used = --first_use_;
  order_[at->second.used] = digest;
}

bool StoreIndex::has_pin(const std::string& owner, const Digest& digest) const {
  const auto at = owners_.find(owner);
  return at != owners_.end() && at->second.contains(digest);
}

std::vector<Digest> StoreIndex::pins_of(const std::string& owner) const {
  const auto at = owners_.find(owner);
  return at == owners_.end() ? std::vector<Digest>() : std::vector<Digest>(at->second.begin(), at->second.end());
}

std::vector<std::string> StoreIndex::pin_owners() const {
  std::vector<std::string> names;
  for (const auto& [owner, digests] : owners_) names.push_back(owner);
  return names;
}

bool StoreIndex::wanted_by_others(const Digest& digest, const std::string& owner) const {
  if (keys_of_content_.contains(digest)) return true;
  const auto pins = pin_counts_.find(digest);
  return pins != pin_counts_.end() && pins->second > (has_pin(owner, digest) ? 1U : 0U);
}

std::uint64_t StoreIndex::pinned_blobs() const {
  return static_cast<std::uint64_t>(std::count_if(pin_counts_.begin(), pin_counts_.end(), [&](const auto& entry) {
    return blobs_.contains(entry.first);
  }));
}

void StoreIndex::set_verified(const Digest& digest, const VerifiedAs& as) {
  if (const auto at = blobs_.find(digest); at != blobs_.end()) at->second.verified = as;
}

bool StoreIndex::verified(const Digest& digest, const VerifiedAs& as) const {
  const auto at = blobs_.find(digest);
  return at != blobs_.end() && at->second.verified == as;
}

void StoreIndex::set_durable(const Digest& digest) {
  if (const auto at = blobs_.find(digest); at != blobs_.end()) at->second.durable = true;
}

bool StoreIndex::durable(const Digest& digest) const {
  const auto at = blobs_.find(digest);
  return at != blobs_.end() && at->second.durable;
}

void StoreIndex::take(Eviction& eviction, const Digest& digest, const Blob& blob) const {
  eviction.blobs.push_back(digest);
  eviction.bytes += blob.bytes;
  const auto of_content = keys_of_content_.find(digest);
  if (of_content == keys_of_content_.end()) return;
  for (const Digest& key : of_content->second) {
    eviction.keys.push_back(key);
    eviction.bytes += keys_.at(key).bytes;
  }
}

std::optional<Eviction> StoreIndex::plan_eviction(std::uint64_t bytes, std::int64_t now_unix_s) const {
  Eviction eviction;
  for (const auto& [used, digest] : order_) {
    if (eviction.bytes >= bytes) return eviction;
    const Blob& blob = blobs_.at(digest);
    if (!pinned(digest) && blob.keep_until_unix_s <= now_unix_s) take(eviction, digest, blob);
  }
  // Envelopes that lead nowhere: of another signer, or their content was lost.
  for (const auto& [key, entry] : keys_) {
    if (eviction.bytes >= bytes) return eviction;
    if (entry.content && blobs_.contains(*entry.content)) continue;
    eviction.keys.push_back(key);
    eviction.bytes += entry.bytes;
  }
  if (eviction.bytes >= bytes) return eviction;
  return std::nullopt;
}

void StoreIndex::forget(const Eviction& eviction) {
  for (const Digest& key : eviction.keys) remove_key(key);
  for (const Digest& digest : eviction.blobs) remove_blob(digest);
}

std::optional<Digest> StoreIndex::next_blob(const std::optional<Digest>& cursor) const {
  const auto at = cursor ? blobs_.upper_bound(*cursor) : blobs_.begin();
  return at == blobs_.end() ? std::nullopt : std::optional(at->first);
}

}  // namespace kiln::cache
