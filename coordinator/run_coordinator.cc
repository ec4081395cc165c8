#include "coordinator/run_coordinator.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <fmt/core.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <future>
#include <memory>
#include <set>
#include <thread>

#include "base/file_system.h"
#include "base/log.h"
#include "base/signal_fd.h"
#include "coordinator/farm_server.h"
#include "coordinator/journal/journal.h"
#include "coordinator/key_register.h"
#include "coordinator/process_metrics.h"
#include "coordinator/saved_state.h"
#include "coordinator/store_child.h"
#include "coordinator/store_watch.h"
#include "net/http_server.h"
#include "net/zap_server.h"

namespace kiln::coordinator {
namespace {

constexpr std::chrono::milliseconds kHttpPatience{1'000};

// What is open while a coordinator runs, in the order in which it is made; taken apart from the end.
struct Parts {
  UniqueFd signals;
  std::unique_ptr<Journal> journal;
  std::future<Result<SavedState>> saved;  // read while the store starts
  std::unique_ptr<SnapshotKeeper> snapshots;
  std::optional<StoreChild> store;
  std::unique_ptr<GrantIssuer> grants;
  std::unique_ptr<net::ZmqContext> context;
  std::optional<net::ZapServer> zap;
  std::unique_ptr<BlobKeeper> keeper;
  std::optional<KeyRegister> keys;
  std::unique_ptr<FarmServer> server;
  std::unique_ptr<StoreWatch> watch;
  std::unique_ptr<net::HttpServer> http;
};

// A start allocates what the whole farm needs, and many large blocks that live for a moment: without this the kernel hands
// out, clears and takes back the same pages again and again (half of the time of a start).
void keep_memory() {
  constexpr int kKeptBytes = 256 << 20;
  constexpr int kGrowBytes = 16 << 20;
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that glibc takes
  ::mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  ::mallopt(M_TOP_PAD, kGrowBytes);
}

Status open_store(const CoordinatorOptions& options, Parts& parts) {
  FileSystem& files = posix_file_system();
  std::optional<cache::UrlKey> key;
  if (!options.store_url.empty()) {
    if (!options.url_key_file.empty()) {
      KILN_TRY_ASSIGN(key, cache::UrlKey::load(files, options.url_key_file));
    }
    parts.grants = std::make_unique<GrantIssuer>(options.store_url, std::move(key));
    return {};
  }
  StoreChildOptions child;
  child.command = options.store_command;
  child.root = options.state_dir + "/store";
  child.listen = options.store_listen;
  child.budget = options.store_budget;
  child.url_key_file = options.url_key_file.empty() ? options.state_dir + "/url.key" : options.url_key_file;
  child.port_file = options.state_dir + "/store.address";
  child.trusted_keys_file = parts.keys->path();
  KILN_TRY_ASSIGN(key, cache::UrlKey::load_or_create(files, child.url_key_file));
  KILN_TRY_ASSIGN(parts.store, StoreChild::start(child));
  parts.grants = std::make_unique<GrantIssuer>(parts.store->url(), std::move(key));
  return {};
}

// A store that this coordinator did not start may be another farm's as well.
void drop_pins_of_others(const Durable& durable, BlobKeeper& keeper) {
  std::set<net::JobName> jobs;
  for (const auto& [name, job] : durable.jobs) jobs.insert(name);
  const Status status = keeper.drop_others(jobs);
  if (!status) log::warn("who pins what in the store is not known: {}", status.error().message);
}

// The key check comes before the first door: libzmq lets every key in while there is none.
Status open_doors(const CoordinatorOptions& options, Parts& parts) {
  parts.context = std::make_unique<net::ZmqContext>();
  FarmServerOptions server;
  server.listen = options.listen;
  server.rules = options.rules;
  server.version = options.version;
  if (!options.key_file.empty()) {
    KILN_TRY_ASSIGN(server.security.own, net::load_curve_keys(posix_file_system(), options.key_file));
    net::AllowList allowed;
    if (!options.allow_file.empty()) {
      KILN_TRY_ASSIGN(allowed, net::AllowList::load(options.allow_file));
    }
    auto zap = net::ZapServer::start(*parts.context, std::move(allowed));
    if (!zap) return fail(zap.error());
    parts.zap.emplace(std::move(*zap));
  }
  KILN_TRY_ASSIGN(net::RouterSocket socket, net::RouterSocket::bind(*parts.context, options.listen, server.security));
  KILN_TRY_ASSIGN(SavedState saved, parts.saved.get());
  log::info("{} facts, {} of them in a snapshot: {} jobs", saved.sequence, saved.snapshot, saved.durable.jobs.size());
  parts.snapshots = std::make_unique<SnapshotKeeper>(*parts.journal, options.snapshot_facts, saved.snapshot);
  parts.keeper = std::make_unique<BlobKeeper>(*parts.grants);
  if (parts.store) drop_pins_of_others(saved.durable, *parts.keeper);
  parts.server = std::make_unique<FarmServer>(std::move(server), std::move(saved.durable), std::move(socket), *parts.journal,
                                              *parts.grants, *parts.keeper, *parts.keys);
  return {};
}

std::string all_metrics(const Parts& parts) {
  ProcessStats stats;
  stats.journal = parts.journal->stats();
  if (parts.zap) stats.zap = parts.zap->stats();
  stats.snapshots = parts.snapshots->stats();
  stats.store = parts.watch->stats();
  stats.pins_waiting = parts.keeper->waiting();
  stats.pins_failed = parts.keeper->failures();
  stats.http = parts.http->stats();
  return *parts.server->metrics() + process_metrics(stats);
}

// Any thread of the HTTP server; nothing here waits for the loop, the disk or the store.
net::HttpDecision answer_http(const Parts& parts, const net::HttpRequest& request, const std::string& version) {
  if (!request.reads()) return net::problem(405, ErrorCode::kUnimplemented, "only GET is answered here");
  if (request.path == "/healthz") return net::json_response(200, "{\"healthy\":true}");
  if (request.path == "/version") return net::json_response(200, "{\"version\":\"" + version + "\"}");
  if (request.path == "/readyz") {
    if (!parts.server->ready()) {
      return net::problem(503, ErrorCode::kUnavailable, "the journal cannot be written, or the coordinator is starting");
    }
    const Status store = parts.watch->status();
    if (!store) return net::problem(503, ErrorCode::kUnavailable, store.error().message);
    return net::json_response(200, "{\"ready\":true}");
  }
  if (request.path == "/metrics") {
    net::HttpResponse response;
    response.headers = {{"content-type", std::string(kMetricsContentType)}};
    response.body = all_metrics(parts);
    return response;
  }
  return net::problem(404, ErrorCode::kNotFound, "there is /healthz, /readyz, /metrics and /version");
}

Status open_http(const CoordinatorOptions& options, Parts& parts) {
  constexpr std::string_view kScheme = "http://";
  const std::string& store = parts.grants->store_url();
  KILN_TRY_ASSIGN(const net::HostPort address,
                  net::parse_host_port(store.starts_with(kScheme) ? store.substr(kScheme.size()) : store));
  parts.watch = std::make_unique<StoreWatch>(address);
  net::HttpServerOptions http;
  KILN_TRY_ASSIGN(http.listen, net::parse_host_port(options.http_listen));
  http.threads = 2;
  // A request may come before `parts.http` is there to be asked what it counts.
  auto opened = std::make_shared<std::atomic<bool>>(false);
  KILN_TRY_ASSIGN(parts.http, net::HttpServer::start(http, [&parts, opened, version = options.version](const net::HttpRequest& request) {
    if (!*opened) return net::HttpDecision(net::problem(503, ErrorCode::kUnavailable, "the coordinator is starting"));
    return answer_http(parts, request, version);
  }));
  *opened = true;
  return {};
}

void reread_allow_list(const CoordinatorOptions& options, Parts& parts) {
  if (!parts.zap || options.allow_file.empty()) return;
  auto allowed = net::AllowList::load(options.allow_file);
  if (!allowed) return log::error("the allow-list stays as it was: {}", allowed.error().message);
  parts.zap->set_allow_list(std::move(*allowed));
}

// This thread keeps the store alive, which dies with it, and hears signals; the server has one of its own.
Status supervise(const CoordinatorOptions& options, Parts& parts, int server_done, int stop_server) {
  constexpr int kLookMs = 500;
  for (;;) {
    pollfd polls[] = {{parts.signals.get(), POLLIN, 0}, {server_done, POLLIN, 0}};
    if (::poll(polls, 2, kLookMs) < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
    if (polls[1].revents != 0) return {};
    if (parts.store) {
      if (const Status status = parts.store->keep_alive(); !status) log::error("{}", status.error().message);
      parts.store->follow_trusted_keys();
    }
    if (polls[0].revents == 0) continue;
    const int signal = take_signal(parts.signals.get());
    if (signal == 0) continue;
    if (signal == SIGHUP) {
      reread_allow_list(options, parts);
      continue;
    }
    const char stop = 1;
    (void)!::write(stop_server, &stop, 1);
  }
}

}  // namespace

Status run_coordinator(const CoordinatorOptions& options, const std::function<Status(const CoordinatorDoors&)>& ready) {
  keep_memory();
  Parts parts;
  KILN_TRY_ASSIGN(parts.signals, open_signal_fd({SIGINT, SIGTERM, SIGHUP}));
  KILN_TRY(make_directories(posix_file_system(), options.state_dir, 0700));
  JournalOptions journal;
  journal.folder = options.state_dir + "/journal";
  journal.check = false;  // load_state() does
  KILN_TRY_ASSIGN(parts.journal, Journal::open(posix_file_system(), journal));
  KILN_TRY_ASSIGN(parts.keys, KeyRegister::open(posix_file_system(), options.state_dir + "/trusted-keys.txt"));
  parts.saved = std::async(std::launch::async, [&parts] { return load_state(*parts.journal); });
  KILN_TRY(open_store(options, parts));
  KILN_TRY(open_doors(options, parts));
  KILN_TRY(open_http(options, parts));
  std::array<int, 2> stop{};
  std::array<int, 2> done{};
  if (::pipe2(stop.data(), O_CLOEXEC) != 0 || ::pipe2(done.data(), O_CLOEXEC) != 0) return fail(errno_error(errno, "pipe"));
  const UniqueFd stop_read(stop[0]);
  const UniqueFd stop_write(stop[1]);
  const UniqueFd done_read(done[0]);
  UniqueFd done_write(done[1]);
  KILN_TRY(ready({parts.server->endpoint(), "http://" + parts.http->bound().text(), parts.grants->store_url()}));
  Status served;
  std::thread server([&] {
    served = parts.server->run(stop_read.get());
    done_write.reset();
  });
  const Status supervised = supervise(options, parts, done_read.get(), stop_write.get());
  server.join();
  // After an error of the disk there is no state to be saved: what was acknowledged is in the journal.
  if (served && parts.journal->status()) {
    const Status saved = parts.snapshots->finish(parts.server->durable());
    if (!saved) log::warn("no snapshot was written: {}", saved.error().message);
  }
  parts.http->stop(kHttpPatience);
  parts.keeper->finish();
  if (parts.store) parts.store->stop();
  KILN_TRY(supervised);
  return served;
}

}  // namespace kiln::coordinator
