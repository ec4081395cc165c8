// Files that change hands by their names: whoever sees the store's folder gives and takes them without a copy.
#include <nlohmann/json.hpp>

#include "cache_store/http_routes_impl.h"

namespace kiln::cache {
namespace {

using net::HttpRequest;
using net::HttpResponse;
using net::json_response;
using net::problem;

constexpr std::string_view kBlobs = "/cas/";
constexpr std::string_view kFolder = "/cas/folder";
constexpr std::string_view kGiven = "/given";
constexpr std::string_view kReleased = "/released";

}  // namespace

std::optional<HttpResponse> StoreRoutes::Impl::near_file(const HttpRequest& request, const Grant& grant) {
  const std::string_view path = request.path;
  if (path == kFolder) {
    if (!request.reads()) return wrong_method("GET, HEAD");
    return json_response(200, nlohmann::json{{"folder", options.folder}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  const bool given = path.ends_with(kGiven);
  if (!path.starts_with(kBlobs) || (!given && !path.ends_with(kReleased))) return std::nullopt;
  if (request.method != "PUT") return wrong_method("PUT");
  const std::string_view name = path.substr(kBlobs.size(), path.size() - kBlobs.size() - (given ? kGiven : kReleased).size());
  const auto digest = Digest::from_hex(name);
  if (!digest) return problem(400, ErrorCode::kInvalidArgument, digest.error().message);
  if (!given && grant.owner.empty()) return problem(403, ErrorCode::kPermissionDenied, "only an owner takes a blob away");
  if (!grant.owner.empty() && !is_owner_name(grant.owner)) {
    return problem(400, ErrorCode::kInvalidArgument, "an owner's name has letters, digits, '.', '_' and '-'");
  }
  if (!given) {
    const Status released = store.release_blob(*digest, grant.owner);
    return released ? json_response(200, R"({"outcome":"released"})") : problem(released.error());
  }
  const auto outcome = store.adopt_blob(*digest, std::string(request.parameter("name")), grant.bytes_max, grant.owner);
  if (!outcome) return problem(outcome.error());
  return *outcome == PublishOutcome::kStored ? json_response(201, R"({"outcome":"stored"})")
                                             : json_response(200, R"({"outcome":"already_there"})");
}

}  // namespace kiln::cache
