#include "cache_store/http_routes_impl.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/sealed_file.h"
#include "base/wall_clock.h"

namespace kiln::cache {
namespace {

using net::AcceptBody;
using net::HttpDecision;
using net::HttpRequest;
using net::HttpResponse;
using net::json_response;
using net::problem;

constexpr std::uint64_t kBlobBytesMax = 1ULL << 42U;  // 4 TiB: what a Content-Length may say at all

std::string etag_of(const Digest& digest) { return fmt::format("\"{}\"", digest.hex()); }

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

}  // namespace

HttpResponse wrong_method(std::string_view allowed) {
  HttpResponse response = problem(405, ErrorCode::kUnimplemented, fmt::format("only {} here", allowed));
  response.headers.emplace_back("Allow", std::string(allowed));
  return response;
}

HttpResponse nothing_stored(const Digest& digest) {
  return problem(404, ErrorCode::kNotFound, fmt::format("nothing is stored as {}", digest.hex()));
}

StoreRoutes::StoreRoutes(LocalStore& store, StoreRoutesOptions options)
    : impl_(std::make_unique<Impl>(store, std::move(options))) {
  if (!impl_->options.now_unix_s) impl_->options.now_unix_s = &unix_seconds;
}
StoreRoutes::~StoreRoutes() = default;
HttpDecision StoreRoutes::handle(const HttpRequest& request) { return impl_->handle(request); }

HttpDecision StoreRoutes::Impl::handle(const HttpRequest& request) {
  if (auto view = operators_view(request)) return std::move(*view);
  Grant grant;
  if (!options.url_key) {
    grant.owner = std::string(request.parameter("o"));
    grant.bytes_max = kBlobBytesMax;
    if (auto near = near_file(request, grant)) return std::move(*near);
    return handle_granted(request, grant.owner);
  }
  const GrantQuestion question{request.method, request.path, request.query, request.content_length.value_or(0)};
  if (const auto failure = options.url_key->check(question, options.now_unix_s(), grant)) {
    ++counters.grants_refused[static_cast<std::size_t>(*failure)];
    return problem(error_of(*failure));
  }
  if (auto near = near_file(request, grant)) return std::move(*near);
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
    if (!*blob) return nothing_stored(digest);
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
  if (!*artifact) return nothing_stored(key);
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

std::optional<HttpResponse> StoreRoutes::Impl::operators_view(const HttpRequest& request) {
  constexpr std::array<std::string_view, 5> kPaths{"/healthz", "/readyz", "/status", "/metrics", "/version"};
  if (std::find(kPaths.begin(), kPaths.end(), request.path) == kPaths.end()) return std::nullopt;
  if (!request.reads()) return wrong_method("GET, HEAD");
  if (request.path == "/healthz") return json_response(200, R"({"ok":true})");
  if (request.path == "/version") return json_response(200, nlohmann::json{{"version", options.version}}.dump());
  if (request.path == "/readyz") {
    const Status ready = options.ready ? options.ready() : Status();
    // Whoever signs URLs for this store sees whether their clocks agree.
    if (!ready) return problem(503, ErrorCode::kUnavailable, ready.error().message);
    return json_response(200, nlohmann::json{{"ready", true}, {"unix_s", options.now_unix_s()}}.dump());
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
