#include "cache_store/store_metrics.h"

#include <nlohmann/json.hpp>

#include "base/metrics_text.h"
#include "cache_store/url_grant.h"

namespace kiln::cache {
namespace {

struct Row {
  std::string_view name;  // without prefix and suffix
  std::string_view help;
  std::uint64_t StoreStats::*member;
};

constexpr Row kNow[] = {
    {"used_bytes", "Bytes on disk, without quarantine", &StoreStats::used_bytes},
    {"reserved_bytes", "Bytes set aside for blobs on their way in", &StoreStats::reserved_bytes},
    {"blobs", "Blobs stored", &StoreStats::blobs},
    {"pinned_blobs", "Blobs that somebody pins", &StoreStats::pinned_blobs},
};
constexpr Row kTotals[] = {
    {"hits", "Lookups that found something", &StoreStats::hits},
    {"misses", "Lookups that found nothing", &StoreStats::misses},
    {"written_bytes", "Bytes stored", &StoreStats::bytes_written},
    {"publishes", "Artifacts stored", &StoreStats::publishes},
    {"publishes_already_there", "Artifacts that were there before", &StoreStats::publishes_already_there},
    {"uploads", "Blobs streamed in", &StoreStats::uploads},
    {"uploads_already_there", "Blobs that were there before", &StoreStats::uploads_already_there},
    {"adopted", "Blobs that were given as files", &StoreStats::adopted},
    {"released", "Blobs whose file was taken by its owner", &StoreStats::released},
    {"uploads_refused", "Blobs whose bytes were not those of their name", &StoreStats::uploads_refused},
    {"uploads_cut", "Blobs that did not come whole", &StoreStats::uploads_cut},
    {"budget_refusals", "Refused for want of room", &StoreStats::budget_refusals},
    {"evictions", "Blobs removed to make room", &StoreStats::evictions},
    {"evicted_bytes", "Bytes removed to make room", &StoreStats::evicted_bytes},
    {"verify_failures", "Content that was not what its name says", &StoreStats::verify_failures},
    {"signature_failures", "Envelopes that did not hold", &StoreStats::signature_failures},
    {"quarantined", "Files put away", &StoreStats::quarantined},
    {"quarantine_dropped", "Files put away before that were removed to make room", &StoreStats::quarantine_dropped},
    {"scrubbed_blobs", "Blobs hashed in the background", &StoreStats::scrubbed_blobs},
};

constexpr std::string_view kGrantReasons[] = {"missing",      "malformed",  "bad_signature", "expired",
                                              "wrong_method", "wrong_path", "too_large"};

}  // namespace

std::string status_json(const StoreStats& stats, const std::optional<net::HttpServerStats>& http) {
  nlohmann::json json;
  for (const Row& row : kNow) json[std::string(row.name)] = stats.*row.member;
  for (const Row& row : kTotals) json[std::string(row.name)] = stats.*row.member;
  if (http) {
    json["http"] = {{"connections", http->connections_open},
                    {"requests", http->requests},
                    {"received_bytes", http->bytes_in},
                    {"sent_bytes", http->bytes_out}};
  }
  return json.dump();
}

std::string metrics_text(const StoreStats& stats, const std::optional<net::HttpServerStats>& http,
                         const RouteCounters& counters, std::size_t leases) {
  MetricsText text;
  for (const Row& row : kNow) text.gauge(fmt::format("kiln_store_{}", row.name), row.help, stats.*row.member);
  for (const Row& row : kTotals) {
    text.counter(fmt::format("kiln_store_{}_total", row.name), row.help, stats.*row.member);
  }
  for (std::size_t i = 0; i < std::size(kGrantReasons); ++i) {
    text.counter("kiln_store_grants_refused_total", "Requests whose URL did not allow them",
                 counters.grants_refused[i], {{"reason", kGrantReasons[i]}});
  }
  text.gauge("kiln_store_leases", "Leases remembered", leases);
  text.counter("kiln_store_leases_refused_total", "Leases that somebody else has", counters.leases_refused);
  text.counter("kiln_store_lease_table_full_total", "Leases beyond the limit", counters.lease_table_full);
  text.counter("kiln_store_fenced_publishes_total", "Publishes of an outdated attempt", counters.fenced_publishes);
  if (http) append_metrics(text, *http);
  return text.text();
}

}  // namespace kiln::cache
