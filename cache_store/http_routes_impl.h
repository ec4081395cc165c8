// Inside cache_store/ alone: the parts of StoreRoutes.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "cache_store/artifact_frame.h"
#include "cache_store/http_routes.h"
#include "cache_store/lease_table.h"
#include "cache_store/store_metrics.h"

namespace kiln::cache {

[[nodiscard]] net::HttpResponse wrong_method(std::string_view allowed);
[[nodiscard]] net::HttpResponse nothing_stored(const Digest& digest);
// ?task=…&attempt=…: both or neither.
[[nodiscard]] Result<std::optional<Fence>> read_fence(const net::HttpRequest& request);

struct StoreRoutes::Impl {
  Impl(LocalStore& routes_store, StoreRoutesOptions routes_options)
      : store(routes_store), options(std::move(routes_options)) {}

  // ---- http_routes.cc ----
  net::HttpDecision handle(const net::HttpRequest& request);
  net::HttpDecision handle_granted(const net::HttpRequest& request, const std::string& owner);
  net::HttpDecision cas(const net::HttpRequest& request, const Digest& digest, const std::string& owner);
  net::HttpDecision artifact(const net::HttpRequest& request, const Digest& key, const std::string& owner);
  net::HttpResponse get_artifact(const net::HttpRequest& request, const Digest& key);
  net::HttpResponse publish(const Digest& key, const ArtifactFrameReader& frame, const std::optional<Fence>& fence,
                            const std::string& owner);
  bool may_publish(const Digest& key, const std::optional<Fence>& fence);
  net::HttpResponse outdated();
  std::optional<net::HttpResponse> operators_view(const net::HttpRequest& request);

  // ---- http_routes_near.cc ----
  std::optional<net::HttpResponse> near_file(const net::HttpRequest& request, const Grant& grant);

  // ---- http_routes_marks.cc ----
  net::HttpDecision pins(const net::HttpRequest& request, const std::string& owner);
  net::HttpResponse lease(const net::HttpRequest& request, const Digest& key);
  net::HttpResponse take_lease(const net::HttpRequest& request, const Digest& key, const Fence& fence);

  LocalStore& store;
  StoreRoutesOptions options;
  RouteCounters counters;
  std::mutex leases_mutex;
  LeaseTable leases;  // with leases_mutex
};

}  // namespace kiln::cache
