// A farm around one real `kiln worker`: a coordinator that says what the test wants (real socket, real codec), and a real
// store over HTTP.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "cache_store/disk_store.h"
#include "cache_store/http_routes.h"
#include "net/farm_codec.h"
#include "net/router_socket.h"
#include "net/zap_server.h"
#include "tests/base/temp_folder.h"

namespace kiln::worker {

inline constexpr std::chrono::seconds kSoon{60};      // for what must happen; a lane loads LibTorch
inline constexpr std::chrono::seconds kCompiled{240};

class FakeStore {
 public:
  explicit FakeStore(std::string root) : root_(std::move(root)) {}
  void start();  // on the port that it had before
  void stop();

  std::uint64_t budget_bytes = cache::DiskStoreOptions{}.budget_bytes;  // before start()
  std::optional<cache::UrlKey> key;  // before start(): only who has a grant comes in
  [[nodiscard]] std::string url() const { return "http://" + bound_.text(); }
  net::BlobRef put(const std::string& bytes);
  net::BlobRef put_file(const std::string& path);
  [[nodiscard]] std::string get(const net::BlobRef& blob);  // empty: it has none
  [[nodiscard]] std::uint64_t bytes_out() const { return server_->stats().bytes_out; }
  [[nodiscard]] std::uint64_t refusals() const { return store_->stats().budget_refusals; }
  [[nodiscard]] bool has_lease(const std::string& key_hex) const;
  void trust(const std::string& public_key_hex);  // whose artifacts are taken; before start()

 private:
  std::string root_;
  cache::TrustedKeys trusted_;
  net::HostPort bound_{"127.0.0.1", 0};
  std::unique_ptr<cache::LocalStore> store_;
  std::unique_ptr<cache::StoreRoutes> routes_;
  std::unique_ptr<net::HttpServer> server_;
};

class FakeCoordinator {
 public:
  void start();  // on the port that it had before
  void stop();
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

  net::SocketSecurity security;  // before start(); with keys, `allowed` are let in
  net::AllowList allowed;
  std::string store_url;
  std::string trusted_keys;
  std::string read_query;  // of the session
  std::string write_query;
  bool takes_results = true;  // answers TaskDone and TaskFailed
  std::vector<net::WorkerHello> hellos;

  void say(const net::ToWorker& message);
  // Answers hellos, and waits for one message of that kind; those of other kinds are kept for later.
  template <typename Message>
  std::optional<Message> hear(std::chrono::milliseconds deadline = kSoon) {
    std::optional<Message> out;
    wait_for([&] { return take(out); }, deadline);
    return out;
  }
  // Whatever comes meanwhile is kept.
  bool wait_for(const std::function<bool()>& condition, std::chrono::milliseconds deadline = kSoon);

 private:
  void listen();
  void on_message(const net::FromWorker& message);
  template <typename Message>
  bool take(std::optional<Message>& out) {
    for (auto it = heard_.begin(); it != heard_.end(); ++it) {
      if (auto* message = std::get_if<Message>(&*it)) {
        out = std::move(*message);
        heard_.erase(it);
        return true;
      }
    }
    return false;
  }

  net::ZmqContext context_;
  std::optional<net::ZapServer> zap_;
  std::string endpoint_ = "tcp://127.0.0.1:0";
  std::optional<net::RouterSocket> router_;
  std::string worker_;  // its connection
  int epoch_ = 0;
  std::deque<net::FromWorker> heard_;
};

class FarmWorkerTest : public ::testing::Test {
 protected:
  void SetUp() override;
  // The fixture of that folder, made with graphs of these dtypes where it is not there.
  void use_package(const std::string& folder, const std::vector<std::string>& dtypes);
  void TearDown() override;
  void start_worker(std::vector<std::string> more = {});
  [[nodiscard]] std::vector<pid_t> lane_pids() const;  // children of the worker

  // Tasks on lane 0, as the coordinator gives them.
  net::Assign assign(net::TaskSpec spec, std::uint32_t lane = 0);
  net::SegmentSpec segment_spec(std::int64_t first, std::int64_t last) const;
  std::string make_clip(const std::string& name, int frames, const std::string& more = {});
  // Puts the clip into the store and has it probed.
  void probe(const std::string& clip_path);
  net::TaskDone run(const net::Assign& task, std::chrono::milliseconds deadline = kSoon);
  net::TaskFailed run_failing(const net::Assign& task, std::chrono::milliseconds deadline = kSoon);

  test::TempFolder folder_;
  FakeStore store_{folder_ / "store"};
  FakeCoordinator coordinator_;
  ChildProcess worker_;
  net::PackageRef package_;
  std::string package_folder_;
  net::ClipSource source_;
  net::OutputSettings output_;
  net::ProbeResult probed_;
  std::uint64_t next_task_ = 1;
};

}  // namespace kiln::worker
