#include "cache_store/remote_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <mutex>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "base/wall_clock.h"
#include "cache_store/artifact_frame.h"
#include "cache_store/artifact_trust.h"

namespace kiln::cache {
namespace {

constexpr std::uint64_t kAnyBytes = ~std::uint64_t{0};

Result<UniqueFd> memory_file(const char* name) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return fail(errno_error(errno, "memfd_create"));
  return fd;
}

Result<std::uint64_t> size_of(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error(errno, "fstat"));
  return static_cast<std::uint64_t>(info.st_size);
}

bool is_absent(const Error& error) { return error.code == ErrorCode::kNotFound; }

PublishOutcome outcome_of(const net::HttpAnswer& answer) {
  return answer.status == 201 ? PublishOutcome::kStored : PublishOutcome::kAlreadyThere;
}

class HttpStore final : public RemoteStore {
 public:
  explicit HttpStore(RemoteStoreOptions options) : options_(std::move(options)), client_(options_.client) {
    if (!options_.now_unix_s) options_.now_unix_s = &unix_seconds;
  }

  Result<std::optional<StoredArtifact>> find(const Digest& key) override;
  Result<PublishOutcome> publish(const Digest& key, std::string_view envelope, int content_fd) override;
  Result<Digest> put_blob(std::span<const std::byte> bytes) override;
  Result<std::optional<UniqueFd>> get_blob(const Digest& digest) override;
  StoreStats stats() const override {
    const std::lock_guard guard(mutex_);
    return stats_;
  }
  Result<Digest> put_file(int fd) override;
  Status put_file_as(const Digest& digest, int fd, std::uint64_t bytes) override;
  Status get_file(const Digest& digest, int fd) override;
  Status get_file_to(const Digest& digest, const std::string& path) override;
  Result<std::string> get_range(const Digest& digest, std::uint64_t offset, std::uint64_t bytes) override;
  Result<std::uint64_t> blob_bytes(const Digest& digest) override;
  Result<std::string> blob_url(const Digest& digest) override;
  void abort() override { client_.abort(); }

 private:
  Result<std::string> target(std::string_view method, const std::string& path, std::uint64_t bytes,
                             std::string query = {}) const;
  Status fetch(const Digest& digest, int fd, bool again);
  Result<std::optional<StoredArtifact>> open_frame(const Digest& key, int frame_fd);
  std::optional<StoredArtifact> refuse(const Digest& key, const TrustError& why);
  template <typename Change>
  void count(Change&& change) {
    const std::lock_guard guard(mutex_);
    change(stats_);
  }

  RemoteStoreOptions options_;
  net::HttpClient client_;
  mutable std::mutex mutex_;
  StoreStats stats_;  // with mutex_
};

Result<std::string> HttpStore::target(std::string_view method, const std::string& path, std::uint64_t bytes,
                                      std::string query) const {
  if (options_.grants) {
    KILN_TRY_ASSIGN(const std::string grant, options_.grants(method, path, bytes));
    if (!grant.empty()) query += (query.empty() ? "" : "&") + grant;
  }
  return query.empty() ? path : path + "?" + query;
}

std::optional<StoredArtifact> HttpStore::refuse(const Digest& key, const TrustError& why) {
  const bool signature = is_signature_failure(why.reason);
  count([&](StoreStats& stats) {
    ++stats.misses;
    ++(signature ? stats.signature_failures : stats.verify_failures);
  });
  if (options_.on_event) options_.on_event({std::string(to_string(why.reason)), key.hex(), why.message});
  return std::nullopt;
}

Result<std::optional<StoredArtifact>> HttpStore::open_frame(const Digest& key, int frame_fd) {
  KILN_TRY_ASSIGN(const Mapping frame, Mapping::map(frame_fd));
  ArtifactFrameReader reader;
  Status read = reader.append(frame.bytes());
  if (read) read = reader.finish();
  if (!read) return refuse(key, {TrustFailure::kEnvelopeMalformed, read.error().message});
  KILN_TRY_ASSIGN(UniqueFd content, make_sealed_from_fd("kiln-artifact", reader.content_fd()));
  auto manifest =
      verify_artifact(reader.envelope(), content.get(), key, options_.trusted, options_.now_unix_s());
  if (!manifest) return refuse(key, manifest.error());
  count([&](StoreStats& stats) {
    ++stats.hits;
    stats.bytes_read += frame.bytes().size();
  });
  return std::optional(StoredArtifact{reader.envelope(), std::move(content), std::move(*manifest)});
}

Result<std::optional<StoredArtifact>> HttpStore::find(const Digest& key) {
  KILN_TRY_ASSIGN(const std::string url, target("GET", "/artifact/" + key.hex(), 0));
  KILN_TRY_ASSIGN(const UniqueFd frame, memory_file("kiln-frame"));
  const auto answer = client_.get_to_fd(url, frame.get(), kArtifactBytesMax);
  if (answer) return open_frame(key, frame.get());
  if (!is_absent(answer.error())) return fail(answer.error());
  count([](StoreStats& stats) { ++stats.misses; });
  return std::optional<StoredArtifact>();
}

Result<PublishOutcome> HttpStore::publish(const Digest& key, std::string_view envelope, int content_fd) {
  KILN_TRY_ASSIGN(const UniqueFd content, make_sealed_from_fd("kiln-publish", content_fd));
  const auto manifest = verify_artifact(envelope, content.get(), key, options_.trusted, options_.now_unix_s());
  if (!manifest) return fail(input_refused("artifact {} is not stored: {}", key.hex(), manifest.error().message));
  KILN_TRY_ASSIGN(const Mapping bytes, Mapping::map(content.get()));
  KILN_TRY_ASSIGN(const UniqueFd frame, memory_file("kiln-frame"));
  const std::string head = artifact_frame_head(envelope);
  KILN_TRY(write_fully(frame.get(), std::as_bytes(std::span(head))));
  KILN_TRY(write_fully(frame.get(), bytes.bytes()));
  const std::uint64_t frame_bytes = head.size() + bytes.bytes().size();
  std::string fence;
  if (options_.fence) fence = fmt::format("task={}&attempt={}", options_.fence->task, options_.fence->attempt);
  KILN_TRY_ASSIGN(const std::string url, target("PUT", "/artifact/" + key.hex(), frame_bytes, fence));
  KILN_TRY_ASSIGN(const auto answer, client_.put(url, {frame.get(), 0, frame_bytes}));
  const PublishOutcome outcome = outcome_of(answer);
  count([&](StoreStats& stats) {
    ++(outcome == PublishOutcome::kStored ? stats.publishes : stats.publishes_already_there);
    stats.bytes_written += frame_bytes;
  });
  return outcome;
}

Status HttpStore::put_file_as(const Digest& digest, int fd, std::uint64_t bytes) {
  KILN_TRY_ASSIGN(const std::string url, target("PUT", "/cas/" + digest.hex(), bytes));
  KILN_TRY_ASSIGN(const auto answer, client_.put(url, {fd, 0, bytes}));
  const bool stored = outcome_of(answer) == PublishOutcome::kStored;
  count([&](StoreStats& stats) {
    ++(stored ? stats.uploads : stats.uploads_already_there);
    if (stored) stats.bytes_written += bytes;
  });
  return {};
}

Result<Digest> HttpStore::put_file(int fd) {
  KILN_TRY_ASSIGN(const Digest digest, sha256_of_fd(fd));
  KILN_TRY_ASSIGN(const std::uint64_t bytes, size_of(fd));
  KILN_TRY(put_file_as(digest, fd, bytes));
  return digest;
}

Result<Digest> HttpStore::put_blob(std::span<const std::byte> bytes) {
  KILN_TRY_ASSIGN(const UniqueFd fd, make_sealed("kiln-blob", bytes));
  return put_file(fd.get());
}

Status HttpStore::fetch(const Digest& digest, int fd, bool again) {
  KILN_TRY_ASSIGN(const std::string url, target("GET", "/cas/" + digest.hex(), 0));
  net::HttpHeaders headers;
  if (again) headers.emplace_back("Cache-Control", "no-cache");
  KILN_TRY_ASSIGN(const auto answer, client_.get_to_fd(url, fd, kAnyBytes, std::nullopt, headers));
  if (::ftruncate(fd, static_cast<off_t>(answer.content_bytes)) != 0) return fail(errno_error(errno, "ftruncate"));
  KILN_TRY_ASSIGN(const Digest actual, sha256_of_fd(fd));
  if (actual == digest) {
    count([&](StoreStats& stats) {
      ++stats.hits;
      stats.bytes_read += answer.content_bytes;
    });
    return {};
  }
  count([](StoreStats& stats) { ++stats.verify_failures; });
  return fail(input_refused("store {} answers with other bytes than {}", client_.server().text(), digest.hex()));
}

Status HttpStore::get_file(const Digest& digest, int fd) {
  const Status fetched = fetch(digest, fd, false);
  if (fetched || fetched.error().code != ErrorCode::kDataLoss) return fetched;
  // Damage on its disk since it looked last: it looks again, and puts away what is damaged.
  return fetch(digest, fd, true);
}

Status HttpStore::get_file_to(const Digest& digest, const std::string& path) {
  const std::string temp = parent_directory(path) + "/" + random_temp_name();
  const UniqueFd fd(::open(temp.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.valid()) return fail(errno_error(errno, temp));
  Status got = get_file(digest, fd.get());
  if (got && ::rename(temp.c_str(), path.c_str()) != 0) got = fail(errno_error(errno, path));
  if (!got) ::unlink(temp.c_str());
  return got;
}

Result<std::optional<UniqueFd>> HttpStore::get_blob(const Digest& digest) {
  KILN_TRY_ASSIGN(const UniqueFd fd, memory_file("kiln-blob"));
  const Status got = get_file(digest, fd.get());
  if (!got) {
    if (!is_absent(got.error()) && got.error().code != ErrorCode::kDataLoss) return fail(got.error());
    count([](StoreStats& stats) { ++stats.misses; });
    return std::optional<UniqueFd>();
  }
  KILN_TRY_ASSIGN(UniqueFd sealed, make_sealed_from_fd("kiln-blob", fd.get()));
  return std::optional(std::move(sealed));
}

Result<std::string> HttpStore::get_range(const Digest& digest, std::uint64_t offset, std::uint64_t bytes) {
  KILN_TRY_ASSIGN(const std::string url, target("GET", "/cas/" + digest.hex(), 0));
  const std::string range = fmt::format("bytes={}-{}", offset, offset + bytes - 1);
  KILN_TRY_ASSIGN(auto answer, client_.get(url, bytes, {{"Range", range}}));
  if (answer.status != 206) {
    return fail(make_error(ErrorCode::kDataLoss, "store {} ignores ranges", client_.server().text()));
  }
  count([&](StoreStats& stats) { stats.bytes_read += answer.body.size(); });
  return std::move(answer.body);
}

Result<std::uint64_t> HttpStore::blob_bytes(const Digest& digest) {
  KILN_TRY_ASSIGN(const std::string url, target("GET", "/cas/" + digest.hex(), 0));
  KILN_TRY_ASSIGN(const auto answer, client_.head(url));
  return answer.content_bytes;
}

Result<std::string> HttpStore::blob_url(const Digest& digest) {
  KILN_TRY_ASSIGN(const std::string url, target("GET", "/cas/" + digest.hex(), 0));
  return "http://" + client_.server().text() + url;
}

}  // namespace

std::unique_ptr<RemoteStore> open_remote_store(RemoteStoreOptions options) {
  return std::make_unique<HttpStore>(std::move(options));
}

}  // namespace kiln::cache
