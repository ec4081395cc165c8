// Writes grants for the store: what workers and clients need to read and write there, and no more. Knows the store's
// address and shares its secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cache_store/url_grant.h"
#include "net/farm_replies.h"
#include "net/farm_worker_messages.h"

namespace kiln::coordinator {

inline constexpr std::int64_t kGrantSeconds = 3600;
inline constexpr std::uint64_t kGrantBytesMax = 1ULL << 40U;  // of one blob

class GrantIssuer {
 public:
  // Without a key the store is open: it serves this machine only.
  GrantIssuer(std::string store_url, std::optional<cache::UrlKey> key)
      : store_url_(std::move(store_url)), key_(std::move(key)) {}

  // Adds addresses and grants to what the core says.
  void fill(net::Welcome& welcome, std::int64_t now_unix_s) const;
  void fill(net::Assign& assign, std::int64_t now_unix_s) const;
  [[nodiscard]] net::Grants for_client(const net::JobName& job, bool write, std::int64_t now_unix_s) const;
  // To say what the store keeps for a job.
  [[nodiscard]] std::string for_pins(const net::JobName& job, const char* method, std::int64_t now_unix_s) const;
  [[nodiscard]] const std::string& store_url() const { return store_url_; }

 private:
  [[nodiscard]] std::string sign(const char* method, const std::string& path, const std::string& owner,
                                 std::int64_t now_unix_s) const;
  std::string store_url_;
  std::optional<cache::UrlKey> key_;
};

}  // namespace kiln::coordinator
