// The store's HTTP door (docs/cache-protocol.md): /cas, /artifact, /pins, /lease, and what operators look at.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cache_store/blob_store.h"
#include "cache_store/url_grant.h"
#include "net/http_server.h"

namespace kiln::cache {

inline constexpr std::uint64_t kPinListBytesMax = 16ULL << 20U;

struct StoreRoutesOptions {
  std::optional<UrlKey> url_key;             // none: everybody may do everything (loopback only)
  std::function<std::int64_t()> now_unix_s;  // empty: the system's clock
  std::function<net::HttpServerStats()> http_stats;  // for /metrics; may be empty
  std::function<Status()> ready;             // for /readyz: an error says why not; may be empty
  std::string version;
  std::string folder;                        // where the store lies, for those who see the same files; may be empty
};

// Holds the leases; hands requests to the store, which outlives it. handle() may be called from any thread.
class StoreRoutes {
 public:
  StoreRoutes(LocalStore& store, StoreRoutesOptions options);
  ~StoreRoutes();
  [[nodiscard]] net::HttpDecision handle(const net::HttpRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::cache
