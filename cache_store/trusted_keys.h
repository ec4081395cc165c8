// Whose artifacts may be loaded here. A value: the worker makes it, lanes get it over their private socket.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "cache_store/signing_key.h"

namespace kiln::cache {

class TrustedKeys {
 public:
  void trust(const PublicKey& key) { keys_[key.id()] = key; }
  // Stronger than trust(), in whichever order they come.
  void revoke(const std::string& key_id) { revoked_.insert(key_id); }
  // Artifacts of an older epoch are refused; never goes down.
  void raise_minimum_epoch(std::uint64_t epoch);

  [[nodiscard]] const PublicKey* find(const std::string& key_id) const;  // also when revoked
  [[nodiscard]] bool revoked(const std::string& key_id) const { return revoked_.contains(key_id); }
  [[nodiscard]] std::uint64_t minimum_epoch() const { return minimum_epoch_; }

  // Lines: "kiln-trusted-keys 1", then "trust HEX", "revoke ID", "minimum-epoch N"; '#' starts a comment.
  [[nodiscard]] static Result<TrustedKeys> parse(std::string_view text);
  [[nodiscard]] std::string to_text() const;

 private:
  std::map<std::string, PublicKey> keys_;
  std::set<std::string> revoked_;
  std::uint64_t minimum_epoch_ = 0;
};

}  // namespace kiln::cache
