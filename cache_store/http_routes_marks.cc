// Pins and leases: what owners keep in the store, and who may publish under a key.
#include <charconv>
#include <nlohmann/json.hpp>

#include "cache_store/http_routes_impl.h"

namespace kiln::cache {
namespace {

using net::HttpDecision;
using net::HttpRequest;
using net::HttpResponse;
using net::json_response;
using net::problem;

template <typename T>
std::optional<T> read_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

std::string lease_json(const Lease& lease) {
  return nlohmann::json{{"task", lease.fence.task},
                        {"attempt", lease.fence.attempt},
                        {"expires_unix_s", lease.expires_unix_s}}
      .dump();
}

Result<std::vector<Digest>> read_digests(const nlohmann::json& list) {
  std::vector<Digest> digests;
  for (const auto& entry : list) {
    KILN_TRY_ASSIGN(const Digest digest, Digest::from_hex(entry.is_string() ? entry.get<std::string>() : ""));
    digests.push_back(digest);
  }
  return digests;
}

struct PinList {
  std::vector<Digest> digests;
  std::vector<Digest> artifacts;  // keys
  bool only = false;              // whatever else the owner pins may go
};

Result<PinList> read_pin_list(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const bool named = json.is_object() && json.contains("digests") && json["digests"].is_array();
  if (!named || !json.value("artifacts", nlohmann::json::array()).is_array() ||
      (json.contains("only") && !json["only"].is_boolean())) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           R"(the body is to be {{"digests": ["<sha256>", …], "artifacts": ["<key>", …], "only": false}})"));
  }
  PinList out;
  out.only = json.value("only", false);
  KILN_TRY_ASSIGN(out.digests, read_digests(json["digests"]));
  if (json.contains("artifacts")) {
    KILN_TRY_ASSIGN(out.artifacts, read_digests(json["artifacts"]));
  }
  return out;
}

// What the store has under a key is what an owner of the key keeps. Returns the keys that lead to nothing.
Result<std::vector<Digest>> add_contents(Store& store, PinList& list) {
  std::vector<Digest> missing;
  for (const Digest& key : list.artifacts) {
    KILN_TRY_ASSIGN(const auto artifact, store.find(key));
    if (artifact) {
      list.digests.push_back(artifact->manifest.content_sha256);
    } else {
      missing.push_back(key);
    }
  }
  return missing;
}

nlohmann::json hex_list(const std::vector<Digest>& digests) {
  nlohmann::json list = nlohmann::json::array();
  for (const Digest& digest : digests) list.push_back(digest.hex());
  return list;
}

}  // namespace

Result<std::optional<Fence>> read_fence(const HttpRequest& request) {
  const auto task = request.parameter("task"), attempt = request.parameter("attempt");
  if (task.empty() && attempt.empty()) return std::optional<Fence>();
  const auto task_number = read_number<std::uint64_t>(task);
  const auto attempt_number = read_number<std::uint32_t>(attempt);
  if (!task_number || !attempt_number) {
    return fail(make_error(ErrorCode::kInvalidArgument, "task and attempt are two numbers"));
  }
  return std::optional(Fence{*task_number, *attempt_number});
}

HttpDecision StoreRoutes::Impl::pins(const HttpRequest& request, const std::string& owner) {
  if (owner.empty() && request.reads()) return json_response(200, nlohmann::json{{"owners", store.pin_owners()}}.dump());
  if (!is_owner_name(owner)) return problem(400, ErrorCode::kInvalidArgument, "this is no owner's name");
  if (request.reads()) return json_response(200, nlohmann::json{{"digests", hex_list(store.pins_of(owner))}}.dump());
  if (request.method == "DELETE") {
    const auto had = store.unpin(owner);
    return had ? json_response(200, nlohmann::json{{"unpinned", *had}}.dump()) : problem(had.error());
  }
  if (request.method != "PUT") return wrong_method("GET, HEAD, PUT, DELETE");
  return net::accept_text(kPinListBytesMax, [this, owner](const std::string& body) {
    auto list = read_pin_list(body);
    if (!list) return problem(list.error());
    auto missing = add_contents(store, *list);
    if (!missing) return problem(missing.error());
    const auto outcome = store.pin(owner, list->digests);
    if (!outcome) return problem(outcome.error());
    missing->insert(missing->begin(), outcome->missing.begin(), outcome->missing.end());
    nlohmann::json answer = {{"pinned", outcome->pinned}, {"missing", hex_list(*missing)}};
    if (list->only) {  // behind the others: whatever ends us in between, nothing that is to stay has gone
      const auto gone = store.unpin_others(owner, list->digests);
      if (!gone) return problem(gone.error());
      answer["unpinned"] = *gone;
    }
    return json_response(200, answer.dump());
  });
}

HttpResponse StoreRoutes::Impl::lease(const HttpRequest& request, const Digest& key) {
  if (request.reads()) {
    const std::lock_guard guard(leases_mutex);
    const auto held = leases.find(key);
    return held ? json_response(200, lease_json(*held)) : nothing_stored(key);
  }
  const auto fence = read_fence(request);
  if (!fence) return problem(fence.error());
  if (!*fence) return problem(400, ErrorCode::kInvalidArgument, "a lease needs ?task=…&attempt=…");
  if (request.method == "PUT") return take_lease(request, key, **fence);
  if (request.method != "DELETE") return wrong_method("GET, HEAD, PUT, DELETE");
  const std::lock_guard guard(leases_mutex);
  leases.give_back(key, **fence);
  return json_response(200, "{}");
}

HttpResponse StoreRoutes::Impl::take_lease(const HttpRequest& request, const Digest& key, const Fence& fence) {
  const std::string_view wanted = request.parameter("seconds");
  const auto seconds = wanted.empty() ? std::optional(kLeaseSecondsDefault) : read_number<std::int64_t>(wanted);
  if (!seconds) return problem(400, ErrorCode::kInvalidArgument, "seconds is a number");
  const std::lock_guard guard(leases_mutex);
  const LeaseAnswer answer = leases.take(key, fence, *seconds, options.now_unix_s());
  if (answer == LeaseAnswer::kTableFull) {
    ++counters.lease_table_full;
    return problem(507, ErrorCode::kResourceExhausted, "too many leases");
  }
  const auto held = leases.find(key);
  if (answer == LeaseAnswer::kGranted) return json_response(200, lease_json(*held));
  ++counters.leases_refused;
  return problem(409, ErrorCode::kAborted,
                 fmt::format("the lease is that of task {}, attempt {}, until {}", held->fence.task,
                             held->fence.attempt, held->expires_unix_s));
}

}  // namespace kiln::cache
