#include "cache_store/store_service.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/log.h"

namespace kiln::cache {
namespace {

constexpr std::uint64_t kTrustedKeysBytesMax = 1U << 20U;
// Reading back what is stored takes at most a tenth of the time, and begins anew a day after it came round.
constexpr int kScrubRest = 9;
constexpr std::chrono::milliseconds kScrubRestMin{100};
constexpr std::chrono::hours kScrubRound{24};

Status check_options(const StoreServiceOptions& options) {
  KILN_TRY_ASSIGN(const bool loopback, net::is_loopback(options.listen.host));
  if (!options.url_key_file.empty()) {
    if (!options.open) return {};
    return fail(make_error(ErrorCode::kInvalidArgument, "--open and --url-key exclude each other"));
  }
  if (!options.open) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "a store needs --url-key FILE, or --open to serve everybody on this machine"));
  }
  if (loopback) return {};
  return fail(make_error(ErrorCode::kInvalidArgument,
                         "{} can be reached from other machines: --open is for loopback only; name --url-key FILE",
                         options.listen.text()));
}

Result<TrustedKeys> parse_trusted(const std::string& path, const std::string& text) {
  auto keys = TrustedKeys::parse(text);
  if (!keys) return fail(keys.error().with_context(path));
  return keys;
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? std::string() : absolute.string();
}

// A coordinator makes the file when it starts, which may be after the store.
Result<std::string> read_trusted(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = read_file(path, kTrustedKeysBytesMax);
  if (text || text.error().code != ErrorCode::kNotFound) return text;
  log::warn("{} is not there yet; no artifacts are taken until it is", path);
  return std::string();
}

}  // namespace

struct StoreService::Impl {
  Status open();
  Status ready();
  void scrub();
  bool rest(std::chrono::milliseconds duration);  // false: it is over

  StoreServiceOptions options;
  std::string trusted_text;  // as it was read last; empty: nobody
  std::unique_ptr<LocalStore> store;
  std::unique_ptr<StoreRoutes> routes;
  std::unique_ptr<net::HttpServer> server;
  std::atomic<const net::HttpServer*> server_for_stats{nullptr};  // requests may come before start() has returned
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable stopped;
  std::thread scrubber;
};

Status StoreService::Impl::open() {
  KILN_TRY(check_options(options));
  DiskStoreOptions disk;
  disk.root = options.root;
  disk.budget_bytes = options.budget_bytes;
  disk.evicts = true;
  KILN_TRY_ASSIGN(trusted_text, read_trusted(options.trusted_keys_file));
  if (!trusted_text.empty()) {
    KILN_TRY_ASSIGN(disk.trusted, parse_trusted(options.trusted_keys_file, trusted_text));
  }
  disk.on_event = [](const StoreEvent& event) { log::warn("{} {}: {}", event.what, event.name, event.detail); };
  StoreRoutesOptions routing;
  if (!options.url_key_file.empty()) {
    KILN_TRY_ASSIGN(routing.url_key, UrlKey::load_or_create(posix_file_system(), options.url_key_file));
  }
  routing.version = options.version;
  routing.folder = absolute_path(options.root);
  routing.ready = [this] { return ready(); };
  routing.http_stats = [this] {
    const net::HttpServer* started = server_for_stats;
    return started == nullptr ? net::HttpServerStats() : started->stats();
  };
  KILN_TRY_ASSIGN(store, open_disk_store(posix_file_system(), std::move(disk)));
  routes = std::make_unique<StoreRoutes>(*store, std::move(routing));
  net::HttpServerOptions http;
  http.listen = options.listen;
  http.threads = options.threads;
  KILN_TRY_ASSIGN(server, net::HttpServer::start(http, [this](const net::HttpRequest& request) {
                    return routes->handle(request);
                  }));
  server_for_stats = server.get();
  if (options.scrubs) scrubber = std::thread([this] { scrub(); });
  return {};
}

Status StoreService::Impl::ready() {
  if (stopping) return fail(make_error(ErrorCode::kUnavailable, "the store is stopping"));
  FileSystem& files = posix_file_system();
  const std::string probe = options.root + "/tmp.v1/" + random_temp_name();
  auto file = files.create_exclusive(probe, 0600);
  if (!file) return fail(file.error().with_context("the disk takes nothing"));
  const std::byte byte{};
  const Status written = (*file)->append({&byte, 1});
  [[maybe_unused]] const Status removed = files.remove_file(probe);
  return written;
}

bool StoreService::Impl::rest(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex);
  return !stopped.wait_for(lock, duration, [this] { return stopping.load(); });
}

void StoreService::Impl::scrub() {
  std::chrono::milliseconds pause = kScrubRestMin;
  while (rest(pause)) {
    const auto began = std::chrono::steady_clock::now();
    const auto more = store->scrub_one();
    if (!more) log::warn("reading back what is stored: {}", more.error().message);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    pause = more && *more ? std::max(kScrubRestMin, kScrubRest * took) : std::chrono::milliseconds(kScrubRound);
  }
}

StoreService::StoreService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreService::~StoreService() { stop(std::chrono::milliseconds(0)); }

Result<std::unique_ptr<StoreService>> StoreService::start(StoreServiceOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  Impl& opened = *impl;
  std::unique_ptr<StoreService> service(new StoreService(std::move(impl)));
  KILN_TRY(opened.open());
  return service;
}

const net::HostPort& StoreService::bound() const { return impl_->server->bound(); }
StoreStats StoreService::stats() const { return impl_->store->stats(); }

Status StoreService::reload_trusted_keys() {
  const std::string& path = impl_->options.trusted_keys_file;
  if (path.empty()) return {};
  KILN_TRY_ASSIGN(std::string text, read_file(path, kTrustedKeysBytesMax));
  if (text == impl_->trusted_text) return {};
  impl_->trusted_text = text;  // also when it is no list: that is said once
  KILN_TRY_ASSIGN(TrustedKeys keys, parse_trusted(path, text));
  impl_->store->set_trusted(std::move(keys));
  return {};
}

void StoreService::follow_trusted_keys() {
  const Status reloaded = reload_trusted_keys();
  if (!reloaded && reloaded.error().code != ErrorCode::kNotFound) {
    log::error("trusted keys stay as they were: {}", reloaded.error().message);
  }
}

void StoreService::stop(std::chrono::milliseconds patience) {
  {
    const std::lock_guard guard(impl_->mutex);
    impl_->stopping = true;
    impl_->stopped.notify_all();
  }
  if (impl_->server) impl_->server->stop(patience);
  if (impl_->scrubber.joinable()) impl_->scrubber.join();
}

}  // namespace kiln::cache
