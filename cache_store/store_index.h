// What a store on disk holds, and what may go when room is needed: sizes, last use, pins. Decides and counts;
// touches no file and takes no lock. DiskStore owns one and guards it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/sha256.h"

namespace kiln::cache {

// As what a blob was hashed last: another size or time means that somebody changed the file.
struct VerifiedAs {
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  bool operator==(const VerifiedAs&) const = default;
};

struct Eviction {
  std::vector<Digest> keys;   // their envelopes go first, so that no key leads nowhere
  std::vector<Digest> blobs;
  std::uint64_t bytes = 0;
};

class StoreIndex {
 public:
  // The latest added or touched is the last to go. Not to be evicted before `keep_until_unix_s`.
  void add_blob(const Digest& digest, std::uint64_t bytes, std::int64_t keep_until_unix_s);
  void remove_blob(const Digest& digest);
  [[nodiscard]] bool has_blob(const Digest& digest) const { return blobs_.contains(digest); }
  void touch(const Digest& digest);

  // An artifact's envelope, and the blob that it leads to where that is known.
  void add_key(const Digest& key, std::optional<Digest> content, std::uint64_t envelope_bytes);
  void remove_key(const Digest& key);

  // A digest may be pinned before its blob is there, and stays so when the blob is lost.
  void pin(const std::string& owner, const Digest& digest);
  // What it had. What nobody else pins is the next to go, before what was never pinned.
  std::vector<Digest> unpin(const std::string& owner);
  void unpin(const std::string& owner, const Digest& digest);  // one of them; nothing where it is none
  [[nodiscard]] bool has_pin(const std::string& owner, const Digest& digest) const;
  [[nodiscard]] std::vector<Digest> pins_of(const std::string& owner) const;
  [[nodiscard]] std::vector<std::string> pin_owners() const;
  [[nodiscard]] bool pinned(const Digest& digest) const { return pin_counts_.contains(digest); }
  // Somebody else pins it, or a key leads to it.
  [[nodiscard]] bool wanted_by_others(const Digest& digest, const std::string& owner) const;
  [[nodiscard]] std::uint64_t pinned_blobs() const;

  void set_verified(const Digest& digest, const VerifiedAs& as);
  [[nodiscard]] bool verified(const Digest& digest, const VerifiedAs& as) const;
  void set_durable(const Digest& digest);
  [[nodiscard]] bool durable(const Digest& digest) const;

  // What goes for `bytes`, longest unused first; never a pinned blob, nor one that is to be kept for now.
  // nullopt: not even all of it would be enough, so nothing is to go.
  [[nodiscard]] std::optional<Eviction> plan_eviction(std::uint64_t bytes, std::int64_t now_unix_s) const;
  void forget(const Eviction& eviction);

  [[nodiscard]] std::uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] std::uint64_t blobs() const { return blobs_.size(); }
  [[nodiscard]] std::uint64_t keys() const { return keys_.size(); }
  // The first blob after `cursor` in the order of digests; nullopt: there is none.
  [[nodiscard]] std::optional<Digest> next_blob(const std::optional<Digest>& cursor) const;

 private:
  struct Blob {
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;  // place in order_
    std::int64_t keep_until_unix_s = 0;
    std::optional<VerifiedAs> verified;
    bool durable = false;
  };
  struct Key {
    std::optional<Digest> content;
    std::uint64_t bytes = 0;
  };
  void take(Eviction& eviction, const Digest& digest, const Blob& blob) const;
  void retire(const Digest& digest);

  std::map<Digest, Blob> blobs_;
  std::map<Digest, Key> keys_;
  std::map<Digest, std::set<Digest>> keys_of_content_;
  std::map<std::uint64_t, Digest> order_;  // longest unused first
  std::map<std::string, std::set<Digest>> owners_;
  std::map<Digest, std::uint32_t> pin_counts_;
  std::uint64_t first_use_ = 1ULL << 62U;  // places before it are for what was let go
  std::uint64_t next_use_ = first_use_;
  std::uint64_t used_bytes_ = 0;
};

}  // namespace kiln::cache
