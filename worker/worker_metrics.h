// What a worker counts, as text, and the door where it can be read.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/published.h"
#include "net/http_server.h"
#include "net/socket_types.h"
#include "worker/blob_cache.h"
#include "worker/core/weight_groups.h"
#include "worker/core/worker_state.h"
#include "worker/store_access.h"

namespace kiln::worker {

inline constexpr std::chrono::milliseconds kMetricsInterval{500};
inline constexpr std::chrono::seconds kHealthyWithin{30};  // a loop that did not turn for longer hangs

struct CompileCounts {
  std::uint64_t made = 0;
  std::uint64_t found = 0;  // in the store
  std::uint64_t failed = 0;
  std::uint64_t over_deadline = 0;  // of the failed: the child was ended
  std::uint64_t over_memory = 0;  // or more processes than are watched
  std::chrono::milliseconds spent{0};  // making them, failed ones as well
};

struct WorkerStats {
  BlobCacheStats cache;
  std::uint64_t cache_budget_bytes = 0;
  StoreTraffic traffic;
  CompileCounts compiles;
  net::SocketStats socket;
  std::size_t transfers_waiting = 0;
  std::uint64_t transfers_full = 0;  // more of them than may wait
  std::uint64_t attempt_logs_cut = 0;
  std::uint64_t lane_logs_emptied = 0;
  std::uint64_t packages_let_go = 0;
  std::uint64_t artifacts_let_go = 0;
  std::uint64_t clips_let_go = 0;  // by lanes
  std::uint64_t reasons_untold = 0;
  GroupCounters groups{};
  std::uint64_t weights_copied_bytes = 0;
  std::uint64_t weights_received_bytes = 0;
};
[[nodiscard]] std::string worker_metrics(const WorkerState& state, const WorkerStats& stats);

struct PublishedMetrics {
  std::string text;
  std::string not_ready = "the worker is starting";
  std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
};

// /metrics, /healthz and /readyz. The loop publishes, the server's threads read.
class WorkerDoor {
 public:
  [[nodiscard]] static Result<std::unique_ptr<WorkerDoor>> open(const std::string& listen);
  ~WorkerDoor();
  WorkerDoor(const WorkerDoor&) = delete;
  WorkerDoor& operator=(const WorkerDoor&) = delete;

  [[nodiscard]] std::string address() const;  // HOST:PORT
  // `not_ready`: why the worker cannot be given work; empty: it can.
  void publish(std::string metrics, std::string not_ready);

 private:
  WorkerDoor() = default;
  [[nodiscard]] net::HttpDecision answer(const net::HttpRequest& request) const;

  Published<PublishedMetrics> published_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace kiln::worker
