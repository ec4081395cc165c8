#include "worker/store_access.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/sealed_file.h"
#include "base/sha256.h"
#include "cache_store/near_store.h"

namespace kiln::worker {
namespace {

constexpr std::string_view kScheme = "http://";

std::string target_of(const std::string& sha256, const std::string& query) {
  return query.empty() ? fmt::format("/cas/{}", sha256) : fmt::format("/cas/{}?{}", sha256, query);
}

Result<UniqueFd> memory_file(const char* name) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, "memfd_create"));
  return fd;
}

void cut_out(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) text.replace(at, secret.size(), "…");
}

net::HttpClientOptions client_options(const net::HostPort& server) {
  net::HttpClientOptions options;
  options.server = server;
  options.connect_deadline = kStoreConnectDeadline;
  options.answer_deadline = kStoreAnswerDeadline;
  return options;
}

Error no_store() { return make_error(ErrorCode::kUnavailable, "the coordinator has not named a store yet"); }

}  // namespace

Status StoreAccess::use(const net::Welcome& welcome) {
  std::string_view address = welcome.store_url;
  while (address.ends_with('/')) address.remove_suffix(1);
  if (!address.starts_with(kScheme)) {
    return fail(make_error(ErrorCode::kInvalidArgument, "the store's address '{}' does not begin with {}",
                           welcome.store_url, kScheme));
  }
  KILN_TRY_ASSIGN(const net::HostPort server, net::parse_host_port(address.substr(kScheme.size())));
  const std::lock_guard lock(mutex_);
  if (!door_.client || door_.client->server() != server) {
    if (door_.client) not_kept_earlier_ += door_.client->not_kept();
    door_.client = std::make_shared<net::HttpClient>(client_options(server));
    if (aborted_) door_.client->abort();
    near_folder_.reset();
  }
  door_.url = std::string(address);
  if (door_.read_query != welcome.read_query) earlier_read_query_ = std::exchange(door_.read_query, welcome.read_query);
  door_.write_query = welcome.write_query;
  door_.trusted_keys = welcome.trusted_keys;
  return {};
}

StoreAccess::Door StoreAccess::door() const {
  const std::lock_guard lock(mutex_);
  return door_;
}

std::string StoreAccess::trusted_keys() const { return door().trusted_keys; }

Result<std::shared_ptr<cache::Store>> StoreAccess::artifacts(std::optional<cache::Fence> fence) {
  const Door door = this->door();
  if (!door.client) return fail(no_store());
  cache::RemoteStoreOptions options;
  options.client = client_options(door.client->server());
  KILN_TRY_ASSIGN(options.trusted, cache::TrustedKeys::parse(door.trusted_keys));
  options.grants = [door](std::string_view method, std::string_view, std::uint64_t) -> Result<std::string> {
    return method == "PUT" ? door.write_query : door.read_query;
  };
  options.on_event = [](const cache::StoreEvent& event) {
    log::warn("store: {} {}: {}", event.what, event.name, event.detail);
  };
  options.fence = fence;
  const std::shared_ptr<cache::RemoteStore> store = cache::open_remote_store(std::move(options));
  const std::lock_guard lock(mutex_);
  if (aborted_) store->abort();
  std::erase_if(opened_, [](const auto& other) { return other.expired(); });
  opened_.push_back(store);
  return std::shared_ptr<cache::Store>(store);
}

Status StoreAccess::take_lease(const std::string& key_hex, const cache::Fence& fence) {
  const Door door = this->door();
  if (!door.client) return fail(no_store());
  const std::string target = fmt::format("/lease/{}?task={}&attempt={}{}{}", key_hex, fence.task, fence.attempt,
                                         door.write_query.empty() ? "" : "&", door.write_query);
  auto answer = door.client->send("PUT", target, {});
  if (answer) return {};
  Error error = answer.error().with_context(fmt::format("the lease of {}", key_hex));
  if (error.code == ErrorCode::kAborted) error.code = ErrorCode::kUnavailable;
  return fail(std::move(error));
}

Status StoreAccess::fetch(const net::BlobRef& blob, int fd) {
  Status status = get_checked(blob, fd);
  fetches_failed_ += status ? 0U : 1U;
  return status;
}

Status StoreAccess::get_checked(const net::BlobRef& blob, int fd) {
  const Door door = this->door();
  if (!door.client) return fail(no_store());
  auto answer = door.client->get_to_fd(target_of(blob.sha256, door.read_query), fd, blob.bytes);
  if (!answer) return fail(answer.error().with_context(fmt::format("fetching {}", blob.sha256)));
  fetched_bytes_ += answer->content_bytes;
  KILN_TRY_ASSIGN(const Digest digest, sha256_of_fd(fd));
  if (digest.hex() == blob.sha256 && answer->content_bytes == blob.bytes) return {};
  return fail(input_refused("the store gave {} bytes that are not {}", answer->content_bytes, blob.sha256));
}

Result<UniqueFd> StoreAccess::fetch_sealed(const net::BlobRef& blob, std::uint64_t bytes_max) {
  if (blob.bytes > bytes_max) {
    return fail(input_refused("{} has {} bytes, more than the {} that are taken", blob.sha256, blob.bytes, bytes_max));
  }
  KILN_TRY_ASSIGN(const UniqueFd fd, memory_file("kiln-blob"));
  KILN_TRY(fetch(blob, fd.get()));
  return make_sealed_from_fd("kiln-blob", fd.get());
}

Result<net::BlobRef> StoreAccess::put(const Outgoing& file, const std::string& write_query) {
  auto stored = put_hashed(file, write_query);
  // A task may take longer than its own grant lasts; the session's is renewed. The job keeps what it gets when it takes
  // the result.
  if (!stored && is_denied(stored.error()) && !write_query.empty()) {
    log::info("a task's own grant is refused ({}); the session's is used", stored.error().message);
    stored = put_hashed(file, {});
  }
  stores_failed_ += stored ? 0U : 1U;
  return stored;
}

Result<net::BlobRef> StoreAccess::put_hashed(const Outgoing& file, const std::string& write_query) {
  const Door door = this->door();
  if (!door.client) return fail(no_store());
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return fail(errno_error(errno, "fstat"));
  Digest digest;
  if (file.known) {
    digest = *file.known;
  } else {
    KILN_TRY_ASSIGN(digest, sha256_of_fd(file.fd));
  }
  const net::BlobRef blob{digest.hex(), static_cast<std::uint64_t>(info.st_size)};
  const Status sent = send(door, file, blob, write_query.empty() ? door.write_query : write_query);
  if (!sent) return fail(sent.error().with_context(fmt::format("storing {}", blob.sha256)));
  stored_bytes_ += blob.bytes;
  return blob;
}

Status StoreAccess::send(const Door& door, const Outgoing& file, const net::BlobRef& blob, const std::string& write_query) {
  const std::string folder = file.path.empty() ? std::string() : near_folder(door);
  if (!folder.empty()) {
    KILN_TRY_ASSIGN(const Digest digest, Digest::from_hex(blob.sha256));
    KILN_TRY_ASSIGN(const bool given, cache::give_file(*door.client, folder, {digest, blob.bytes, write_query}, file.path));
    given_bytes_ += given ? blob.bytes : 0;
    if (given) return {};
  }
  KILN_TRY(door.client->put(target_of(blob.sha256, write_query), {file.fd, 0, blob.bytes}));
  return {};
}

// A store that is elsewhere is asked once.
std::string StoreAccess::near_folder(const Door& door) {
  {
    const std::lock_guard lock(mutex_);
    if (near_folder_ && door_.client == door.client) return *near_folder_;
  }
  const auto folder = cache::find_near_folder(*door.client, door.read_query);
  if (!folder) return {};  // what follows finds it away as well
  const std::lock_guard lock(mutex_);
  if (door_.client == door.client) near_folder_ = *folder;
  return *folder;
}

Result<net::BlobRef> StoreAccess::put_file(const std::string& path, const std::string& write_query,
                                           const std::optional<Digest>& known) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return fail(errno_error(errno, path));
  return put({fd.get(), path, known}, write_query);
}

Result<net::BlobRef> StoreAccess::put_text(std::string_view text, const std::string& write_query) {
  KILN_TRY_ASSIGN(const UniqueFd fd, memory_file("kiln-text"));
  KILN_TRY(write_fully(fd.get(), std::as_bytes(std::span(text))));
  return put({fd.get(), {}, {}}, write_query);
}

std::string StoreAccess::url_of(const net::BlobRef& blob) const {
  const Door door = this->door();
  return door.url + target_of(blob.sha256, door.read_query);
}

std::string StoreAccess::without_grants(std::string text) const {
  const std::lock_guard lock(mutex_);
  cut_out(text, door_.read_query);
  cut_out(text, earlier_read_query_);
  return text;
}

void StoreAccess::abort() {
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  if (door_.client) door_.client->abort();
  for (const auto& opened : opened_) {
    if (const auto store = opened.lock()) store->abort();
  }
}

StoreTraffic StoreAccess::traffic() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t not_kept = not_kept_earlier_ + (door_.client ? door_.client->not_kept() : 0);
  return {fetched_bytes_.load(), stored_bytes_.load(), given_bytes_.load(), fetches_failed_.load(), stores_failed_.load(), not_kept};
}

bool is_passing(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

bool is_full(const Error& error) { return error.code == ErrorCode::kResourceExhausted; }

bool is_denied(const Error& error) {
  return error.code == ErrorCode::kUnauthenticated || error.code == ErrorCode::kPermissionDenied;
}

}  // namespace kiln::worker
