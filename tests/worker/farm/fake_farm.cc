#include "tests/worker/farm/fake_farm.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/sealed_file.h"
#include "net/http_client.h"
#include "tests/base/shared_fixtures.h"
#include "tests/worker/compile_child_fixture.h"
#include "worker/process_memory.h"

namespace kiln::worker {

// ---- the store ----

void FakeStore::start() {
  cache::DiskStoreOptions options;
  options.root = root_;
  options.trusted = trusted_;
  options.budget_bytes = budget_bytes;
  auto store = cache::open_disk_store(posix_file_system(), options);
  ASSERT_TRUE(store) << store.error().message;
  store_ = std::move(*store);
  cache::StoreRoutesOptions routes;
  routes.url_key = key;
  routes_ = std::make_unique<cache::StoreRoutes>(*store_, routes);
  net::HttpServerOptions http;
  http.listen = bound_;
  auto server = net::HttpServer::start(http, [this](const net::HttpRequest& request) { return routes_->handle(request); });
  ASSERT_TRUE(server) << server.error().message;
  server_ = std::move(*server);
  bound_ = server_->bound();
}

void FakeStore::stop() {
  server_.reset();
  routes_.reset();
  store_.reset();
}

void FakeStore::trust(const std::string& public_key_hex) {
  trusted_.trust(cache::PublicKey::from_hex(public_key_hex).value());
}

net::BlobRef FakeStore::put(const std::string& bytes) {
  return {store_->put_blob(std::as_bytes(std::span(bytes))).value().hex(), bytes.size()};
}

net::BlobRef FakeStore::put_file(const std::string& path) { return put(read_file(path, 4ULL << 30U).value()); }

std::string FakeStore::get(const net::BlobRef& blob) {
  const auto digest = Digest::from_hex(blob.sha256);
  auto opened = digest ? store_->open_blob(*digest, false) : Result<std::optional<cache::OpenBlob>>(fail(digest.error()));
  return opened && *opened ? read_to_end((*opened)->fd.get(), 4ULL << 30U).value() : std::string();
}

bool FakeStore::has_lease(const std::string& key_hex) const {
  net::HttpClientOptions options;
  options.server = bound_;
  return net::HttpClient(options).get("/lease/" + key_hex, 4096).has_value();
}

// ---- the coordinator ----

void FakeCoordinator::start() {
  if (security.own && !zap_) zap_.emplace(net::ZapServer::start(context_, allowed).value());
  auto router = net::RouterSocket::bind(context_, endpoint_, security);
  const auto until = std::chrono::steady_clock::now() + kSoon;
  while (!router && std::chrono::steady_clock::now() < until) {  // the old one may still be closing
    ::poll(nullptr, 0, 20);
    router = net::RouterSocket::bind(context_, endpoint_, security);
  }
  ASSERT_TRUE(router) << router.error().message;
  router_.emplace(std::move(*router));
  endpoint_ = router_->endpoint();
  ++epoch_;
}

void FakeCoordinator::stop() { router_.reset(); }

void FakeCoordinator::say(const net::ToWorker& message) {
  net::FarmMessage out;
  out.body = message;
  const Status sent = router_->send(worker_, net::encode(out));
  EXPECT_TRUE(sent) << (sent ? "" : sent.error().message);
}

bool FakeCoordinator::wait_for(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    listen();
  }
  return true;
}

void FakeCoordinator::listen() {
  constexpr int kStepMs = 20;
  if (!router_) {
    ::poll(nullptr, 0, kStepMs);
    return;
  }
  while (router_->pending()) {
    auto received = router_->receive();
    if (!received) break;
    auto message = net::decode_farm_message(received->bytes);
    ASSERT_TRUE(message) << message.error().message;
    worker_ = received->identity;
    on_message(std::get<net::FromWorker>(message->body));
  }
  pollfd wait{router_->fd(), POLLIN, 0};
  ::poll(&wait, 1, kStepMs);
}

void FakeCoordinator::on_message(const net::FromWorker& message) {
  if (const auto* hello = std::get_if<net::WorkerHello>(&message)) {
    hellos.push_back(*hello);
    net::Welcome welcome;
    welcome.epoch = "epoch" + std::to_string(epoch_);
    welcome.heartbeat_ms = 500;
    welcome.store_url = store_url;
    welcome.read_query = read_query;
    welcome.write_query = write_query;
    cache::TrustedKeys trusted;
    trusted.trust(cache::PublicKey::from_hex(hello->signing_key).value());
    welcome.trusted_keys = trusted_keys.empty() ? trusted.to_text() : trusted_keys;
    return say(welcome);
  }
  const auto* done = std::get_if<net::TaskDone>(&message);
  const auto* failed = std::get_if<net::TaskFailed>(&message);
  if (takes_results && done != nullptr) say(net::ResultTaken{done->task, done->attempt});
  if (takes_results && failed != nullptr) say(net::ResultTaken{failed->task, failed->attempt});
  heard_.push_back(message);
}

// ---- the worker ----

void FarmWorkerTest::SetUp() {
  store_.start();
  coordinator_.store_url = store_.url();
  coordinator_.start();
  use_package("", {"float32"});
  output_.file_name = "out.mkv";
  output_.codec = "ffv1";
}

void FarmWorkerTest::use_package(const std::string& folder, const std::vector<std::string>& dtypes) {
  const std::string models = kiln::test::fixtures_folder() + folder;
  if (!std::filesystem::exists(models + "/compact")) {
    SpawnOptions make;
    make.argv = {environment("KILN_PYTHON"), environment("KILN_SOURCE_DIR") + "/tests/models/make_fixtures.py", "--out",
                 models, "--only", "compact"};
    for (const std::string& dtype : dtypes) make.argv.insert(make.argv.end(), {"--dtype", dtype});
    const auto made = run_command(make, std::chrono::minutes(3));
    ASSERT_TRUE(made && made->status.ok()) << (made ? made->err : made.error().message);
  }
  package_folder_ = models + "/compact/package";
  package_.files = {{"manifest.toml", store_.put_file(package_folder_ + "/manifest.toml")}};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(package_folder_)) {
    if (!entry.is_regular_file() || entry.path().filename() == "manifest.toml") continue;
    package_.files.push_back({std::filesystem::relative(entry.path(), package_folder_).string(),
                              store_.put_file(entry.path().string())});
  }
}

void FarmWorkerTest::TearDown() {
  if (worker_.running()) worker_.kill_and_wait();
  if (!HasFailure()) return;
  const auto log = read_file(folder_ / "worker.log", 1U << 20U);
  if (log) std::fprintf(stderr, "---- the worker's log ----\n%s", log->c_str());
}

void FarmWorkerTest::start_worker(std::vector<std::string> more) {
  SpawnOptions options;
  options.argv = {environment("KILN_BINARY_DIR") + "/bin/kiln", "worker", "--coordinator", coordinator_.endpoint(),
                  "--state", folder_ / "worker", "--name", "w1", "--threads-per-lane", "1"};
  if (std::find(more.begin(), more.end(), "--python") == more.end()) more.insert(more.end(), {"--python", environment("KILN_PYTHON")});
  options.argv.insert(options.argv.end(), more.begin(), more.end());
  UniqueFd log(::open((folder_ / "worker.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  options.stderr_fd = log.get();
  auto worker = ChildProcess::spawn(options);
  ASSERT_TRUE(worker) << worker.error().message;
  worker_ = std::move(*worker);
  const std::size_t before = coordinator_.hellos.size();
  ASSERT_TRUE(coordinator_.wait_for([&] { return coordinator_.hellos.size() > before; }));
}

std::vector<pid_t> FarmWorkerTest::lane_pids() const {
  std::vector<pid_t> out = process_tree(worker_.pid());
  std::erase(out, worker_.pid());
  return out;
}

net::Assign FarmWorkerTest::assign(net::TaskSpec spec, std::uint32_t lane) {
  net::Assign out;
  out.task = next_task_++;
  out.attempt = Attempt{1};
  out.lane = LaneId{lane};
  out.job = "job";
  out.package = package_;
  out.spec = std::move(spec);
  return out;
}

net::SegmentSpec FarmWorkerTest::segment_spec(std::int64_t first, std::int64_t last) const {
  net::SegmentSpec out;
  out.source = source_;
  out.output = output_;
  out.description = probed_.description;
  out.first = first;
  out.last = last;
  out.tile_height = probed_.tiles.at(0).height;
  out.tile_width = probed_.tiles.at(0).width;
  out.output_width = probed_.output_width;
  out.output_height = probed_.output_height;
  out.output_pixel_format = probed_.output_pixel_format;
  out.executor = "uncompiled";
  return out;
}

std::string FarmWorkerTest::make_clip(const std::string& name, int frames, const std::string& more) {
  const std::string path = folder_ / name;
  const std::string command = fmt::format(
      "ffmpeg -v error -y -f lavfi -i testsrc2=s=64x36:r=25 -frames:v {} {} '{}'", frames, more, path);
  EXPECT_EQ(std::system(command.c_str()), 0);
  return path;
}

void FarmWorkerTest::probe(const std::string& clip_path) {
  source_.path = std::filesystem::path(clip_path).filename();
  source_.blob = store_.put_file(clip_path);
  const net::TaskDone done = run(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}}));
  ASSERT_TRUE(std::holds_alternative<net::ProbeResult>(done.result));
  probed_ = std::get<net::ProbeResult>(done.result);
  ASSERT_FALSE(probed_.tiles.empty()) << probed_.no_tiles_reason;
}

net::TaskDone FarmWorkerTest::run(const net::Assign& task, std::chrono::milliseconds deadline) {
  coordinator_.say(task);
  std::optional<net::TaskDone> done;
  std::optional<net::TaskFailed> failed;
  coordinator_.wait_for(
      [&] {
        if (!done) done = coordinator_.hear<net::TaskDone>(std::chrono::milliseconds(0));
        if (!failed) failed = coordinator_.hear<net::TaskFailed>(std::chrono::milliseconds(0));
        return done || failed;
      },
      deadline);
  EXPECT_FALSE(failed) << failed->fault.message;
  EXPECT_TRUE(done && done->task == task.task);
  return done.value_or(net::TaskDone{});
}

net::TaskFailed FarmWorkerTest::run_failing(const net::Assign& task, std::chrono::milliseconds deadline) {
  coordinator_.say(task);
  const auto failed = coordinator_.hear<net::TaskFailed>(deadline);
  EXPECT_TRUE(failed && failed->task == task.task);
  return failed.value_or(net::TaskFailed{});
}

}  // namespace kiln::worker
