#include "cache_store/http_routes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/sealed_file.h"
#include "base/wall_clock.h"
#include "cache_store/artifact_frame.h"
#include "cache_store/lease_table.h"
#include "cache_store/store_metrics.h"

namespace kiln::cache {
namespace {

using net::accept_text;
using net::AcceptBody;
using net::HttpDecision;
using net::HttpRequest;
using net::HttpResponse;
using net::json_response;
using net::problem;

constexpr std::uint64_t kBlobBytesMax = 1ULL << 42U;  // 4 TiB: what a Content-Length may say at all

HttpResponse wrong_method(std::string_view allowed) {
  HttpResponse response = problem(405, ErrorCode::kUnimplemented, fmt::format("only {} here", allowed));
  response.headers.emplace_back("Allow", std::string(allowed));
  return response;
}

std::string etag_of(const Digest& digest) { return fmt::format("\"{}\"", digest.hex()); }

HttpResponse missing(const Digest& digest) {
  return problem(404, ErrorCode::kNotFound, fmt::format("nothing is stored as {}", digest.hex()));
}

HttpResponse outcome_response(PublishOutcome outcome) {
  return outcome == PublishOutcome::kStored ? json_response(201, R"({"outcome":"stored"})")
                                            : json_response(200, R"({"outcome":"already_there"})");
}

class UploadSink final : public net::BodySink {
 public:
  explicit UploadSink(std::unique_ptr<BlobUpload> upload) : upload_(std::move(upload)) {}
  Status append(std::span<const std::byte> bytes) override { return upload_->append(bytes); }
  HttpResponse finish() override {
    const auto outcome = upload_->commit();
    return outcome ? outcome_response(*outcome) : problem(outcome.error());
  }

 private:
  std::unique_ptr<BlobUpload> upload_;
};

class ArtifactSink final : public net::BodySink {
 public:
  explicit ArtifactSink(std::function<HttpResponse(const ArtifactFrameReader&)> then) : then_(std::move(then)) {}
  Status append(std::span<const std::byte> bytes) override { return reader_.append(bytes); }
  HttpResponse finish() override {
    const Status whole = reader_.finish();
    return whole ? then_(reader_) : problem(whole.error());
  }

 private:
  ArtifactFrameReader reader_;
  std::function<HttpResponse(const ArtifactFrameReader&)> then_;
};

template <typename T>
std::optional<T> read_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = !text.empty() && error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

// ?task=…&attempt=…: both or neither.
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

std::string lease_json(const Lease& lease) {
  return nlohmann::json{{"task", lease.fence.task},
                        {"attempt", lease.fence.attempt},
                        {"expires_unix_s", lease.expires_unix_s}}
      .dump();
}

Result<std::vector<Digest>> read_pin_list(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const auto list = json.is_object() ? json.find("digests") : json.end();
  if (!json.is_object() || list == json.end() || !list->is_array()) {
    return fail(make_error(ErrorCode::kInvalidArgument, R"(the body is to be {{"digests": ["<sha256>", …]}})"));
  }
  std::vector<Digest> digests;
  for (const auto& entry : *list) {
    KILN_TRY_ASSIGN(const Digest digest, Digest::from_hex(entry.is_string() ? entry.get<std::string>() : ""));
    digests.push_back(digest);
  }
  return digests;
}

nlohmann::json hex_list(const std::vector<Digest>& digests) {
  nlohmann::json list = nlohmann::json::array();
  for (const Digest& digest : digests) list.push_back(digest.hex());
  return list;
}

}  // namespace

struct StoreRoutes::Impl {
  Impl(LocalStore& routes_store, StoreRoutesOptions routes_options)
      : store(routes_store), options(std::move(routes_options)) {
    if (!options.now_unix_s) options.now_unix_s = &unix_seconds;
  }

  HttpDecision handle(const HttpRequest& request);
  HttpDecision handle_granted(const HttpRequest& request, const std::string& owner);
  HttpDecision cas(const HttpRequest& request, const Digest& digest, const std::string& owner);
  HttpDecision artifact(const HttpRequest& request, const Digest& key, const std::string& owner);
  HttpResponse get_artifact(const HttpRequest& request, const Digest& key);
  HttpResponse publish(const Digest& key, const ArtifactFrameReader& frame, const std::optional<Fence>& fence,
                       const std::string& owner);
  HttpDecision pins(const HttpRequest& request, const std::string& owner);
  HttpResponse lease(const HttpRequest& request, const Digest& key);
  HttpResponse take_lease(const HttpRequest& request, const Digest& key, const Fence& fence);
  bool may_publish(const Digest& key, const std::optional<Fence>& fence);
  std::optional<HttpResponse> operators_view(const HttpRequest& request);
  HttpResponse outdated();

  LocalStore& store;
  StoreRoutesOptions options;
  RouteCounters counters;
  std::mutex leases_mutex;
  LeaseTable leases;  // with leases_mutex
};

StoreRoutes::StoreRoutes(LocalStore& store, StoreRoutesOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(options))) {}
StoreRoutes::~StoreRoutes() = default;
HttpDecision StoreRoutes::handle(const HttpRequest& request) { return impl_->handle(request); }

HttpDecision StoreRoutes::Impl::handle(const HttpRequest& request) {
  if (auto view = operators_view(request)) return std::move(*view);
  if (!options.url_key) return handle_granted(request, std::string(request.parameter("o")));
  Grant grant;
  const GrantQuestion question{request.method, request.path, request.query, request.content_length.value_or(0)};
  if (const auto failure = options.url_key->check(question, options.now_unix_s(), grant)) {
    ++counters.grants_refused[static_cast<std::size_t>(*failure)];
    return problem(error_of(*failure));
  }
  return handle_granted(request, grant.owner);
}

HttpDecision StoreRoutes::Impl::handle_granted(const HttpRequest& request, const std::string& owner) {
  if (!owner.empty() && !is_owner_name(owner)) {
    return problem(400, ErrorCode::kInvalidArgument, "an owner's name has letters, digits, '.', '_' and '-'");
  }
  const std::string_view path = request.path;
  const auto slash = path.find('/', 1);
  const std::string_view area = path.substr(0, slash);
  const std::string name(slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1));
  if (area == "/pins") return pins(request, name);
  if (area == "/cas" || area == "/artifact" || area == "/lease") {
    const auto digest = Digest::from_hex(name);
    if (!digest) return problem(400, ErrorCode::kInvalidArgument, digest.error().message);
    if (area == "/cas") return cas(request, *digest, owner);
    if (area == "/artifact") return artifact(request, *digest, owner);
    return lease(request, *digest);
  }
  return problem(404, ErrorCode::kNotFound, "there is no such path");
}

HttpDecision StoreRoutes::Impl::cas(const HttpRequest& request, const Digest& digest, const std::string& owner) {
  if (request.reads()) {
    const bool again = request.header("cache-control") == "no-cache";
    auto blob = store.open_blob(digest, again);
    if (!blob) return problem(blob.error());
    if (!*blob) return missing(digest);
    return file_response(request, std::move((*blob)->fd), (*blob)->bytes, etag_of(digest));
  }
  if (request.method != "PUT") return wrong_method("GET, HEAD, PUT");
  if (!request.content_length) return problem(411, ErrorCode::kInvalidArgument, "a blob needs a Content-Length");
  auto upload = store.begin_blob(digest, *request.content_length, owner);
  if (!upload) return problem(upload.error());
  if (*upload == nullptr) return outcome_response(PublishOutcome::kAlreadyThere);
  return AcceptBody{std::make_unique<UploadSink>(std::move(*upload)), kBlobBytesMax};
}

HttpResponse StoreRoutes::Impl::get_artifact(const HttpRequest& request, const Digest& key) {
  auto artifact = store.find(key);
  if (!artifact) return problem(artifact.error());
  if (!*artifact) return missing(key);
  HttpResponse response;
  const std::string etag = etag_of((*artifact)->manifest.content_sha256);
  response.headers = {{"ETag", etag}};
  if (net::etag_matches(request.header("if-none-match"), etag)) {
    response.status = 304;
    return response;
  }
  response.headers.emplace_back("Content-Type", "application/vnd.kiln.artifact");
  response.body = artifact_frame_head((*artifact)->envelope);
  response.file = net::HttpFile{std::move((*artifact)->content), 0, (*artifact)->manifest.content_bytes};
  return response;
}

HttpResponse StoreRoutes::Impl::outdated() {
  ++counters.fenced_publishes;
  return problem(409, ErrorCode::kAborted, "a later attempt holds the lease of this key");
}

bool StoreRoutes::Impl::may_publish(const Digest& key, const std::optional<Fence>& fence) {
  const std::lock_guard guard(leases_mutex);
  return !fence || leases.may_publish(key, *fence, options.now_unix_s());
}

HttpResponse StoreRoutes::Impl::publish(const Digest& key, const ArtifactFrameReader& frame,
                                        const std::optional<Fence>& fence, const std::string& owner) {
  // Once more: the lease may have gone on while the body came. Between here and the end of publish() it may still do
  // so; that is harmless, since the first valid publish of a key wins and all of them are valid.
  if (!may_publish(key, fence)) return outdated();
  const auto outcome = store.publish(key, frame.envelope(), frame.content_fd());
  if (!outcome) return problem(outcome.error());
  if (!owner.empty()) {
    auto artifact = store.find(key);
    if (!artifact) return problem(artifact.error());
    if (*artifact) {
      const auto pinned = store.pin(owner, {(*artifact)->manifest.content_sha256});
      if (!pinned) return problem(pinned.error());
    }
  }
  return outcome_response(*outcome);
}

HttpDecision StoreRoutes::Impl::artifact(const HttpRequest& request, const Digest& key, const std::string& owner) {
  if (request.reads()) return get_artifact(request, key);
  if (request.method != "PUT") return wrong_method("GET, HEAD, PUT");
  const auto fence = read_fence(request);
  if (!fence) return problem(fence.error());
  if (!may_publish(key, *fence)) return outdated();
  return AcceptBody{std::make_unique<ArtifactSink>([this, key, fence = *fence, owner](const ArtifactFrameReader& frame) {
                      return publish(key, frame, fence, owner);
                    }),
                    kArtifactBytesMax};
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
  return accept_text(kPinListBytesMax, [this, owner](const std::string& body) {
    const auto digests = read_pin_list(body);
    if (!digests) return problem(digests.error());
    const auto outcome = store.pin(owner, *digests);
    if (!outcome) return problem(outcome.error());
    return json_response(200,
                         nlohmann::json{{"pinned", outcome->pinned}, {"missing", hex_list(outcome->missing)}}.dump());
  });
}

HttpResponse StoreRoutes::Impl::lease(const HttpRequest& request, const Digest& key) {
  if (request.reads()) {
    const std::lock_guard guard(leases_mutex);
    const auto held = leases.find(key);
    return held ? json_response(200, lease_json(*held)) : missing(key);
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

std::optional<HttpResponse> StoreRoutes::Impl::operators_view(const HttpRequest& request) {
  constexpr std::array<std::string_view, 5> kPaths{"/healthz", "/readyz", "/status", "/metrics", "/version"};
  if (std::find(kPaths.begin(), kPaths.end(), request.path) == kPaths.end()) return std::nullopt;
  if (!request.reads()) return wrong_method("GET, HEAD");
  if (request.path == "/healthz") return json_response(200, R"({"ok":true})");
  if (request.path == "/version") return json_response(200, nlohmann::json{{"version", options.version}}.dump());
  if (request.path == "/readyz") {
    const Status ready = options.ready ? options.ready() : Status();
    return ready ? json_response(200, R"({"ready":true})") : problem(503, ErrorCode::kUnavailable, ready.error().message);
  }
  const auto http = options.http_stats ? std::optional(options.http_stats()) : std::nullopt;
  if (request.path == "/status") return json_response(200, status_json(store.stats(), http));
  HttpResponse response;
  response.headers = {{"Content-Type", std::string(kMetricsContentType)}};
  std::size_t lease_count = 0;
  {
    const std::lock_guard guard(leases_mutex);
    lease_count = leases.size();
  }
  response.body = metrics_text(store.stats(), http, counters, lease_count);
  return response;
}

}  // namespace kiln::cache
