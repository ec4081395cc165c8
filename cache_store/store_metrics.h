// What a store counts, for people (/status) and for Prometheus (/metrics).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "cache_store/store.h"
#include "net/http_server.h"

namespace kiln::cache {

struct RouteCounters {
  std::atomic<std::uint64_t> grants_refused[7] = {};  // by GrantFailure
  std::atomic<std::uint64_t> fenced_publishes{0}, leases_refused{0}, lease_table_full{0};
};

[[nodiscard]] std::string status_json(const StoreStats& stats, const std::optional<net::HttpServerStats>& http);
[[nodiscard]] std::string metrics_text(const StoreStats& stats, const std::optional<net::HttpServerStats>& http,
                                       const RouteCounters& counters, std::size_t leases);

}  // namespace kiln::cache
