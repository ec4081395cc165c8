// `kiln worker`: one loop thread that owns the connection to the coordinator, the lanes and the state machine
// (worker/core); a few threads that fetch and store; one of each compile child.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache_store/signing_key.h"
#include "net/farm_worker_messages.h"
#include "net/socket_types.h"
#include "worker/artifact_builder.h"
#include "worker/core/card_ledger.h"
#include "worker/core/worker_rules.h"
#include "worker/lane_place.h"
#include "worker/lane_process.h"

namespace kiln::worker {

inline constexpr std::size_t kTransferThreads = 4;
inline constexpr std::chrono::milliseconds kLoopTurn{100};
inline constexpr std::chrono::milliseconds kLaneLookInterval{1'000};  // whether silent ones work
// Between two connections to a coordinator that answers nothing.
inline constexpr std::chrono::milliseconds kWelcomePatience{20'000};
inline constexpr std::chrono::milliseconds kFirstAnswerPatience{3'000};  // then the log says that there is none

struct FarmWorkerOptions {
  std::string coordinator;  // "tcp://HOST:PORT", "ipc://PATH"
  net::SocketSecurity security;
  std::string state;        // its lock is the caller's
  net::WorkerHello identity;  // name, pool, lanes with their offers, …; instance and signing key are filled in
  LaneStart lane;
  std::vector<LanePlace> places;  // of the lanes in `identity`, in its order
  std::string ffmpeg;
  std::uint64_t cache_bytes = 0;  // of the folder of fetched blobs
  std::optional<ArtifactBuilderOptions> compiles;  // absent: nothing is compiled here
  std::string http_listen;  // HOST:PORT of /metrics and /healthz; empty: none
  WorkerRules rules;
  std::map<LaneId, CardRoom> rooms;  // of lanes on cards (worker/card_rooms.h)
  std::chrono::seconds away_max{0};  // without a coordinator, then the worker ends (exit code 4); 0: it waits
};

class FarmWorker {
 public:
  // `signing_key` outlives it. `signals`: a signalfd of SIGTERM and SIGINT.
  [[nodiscard]] static Result<std::unique_ptr<FarmWorker>> open(FarmWorkerOptions options,
                                                                const cache::SigningKey& signing_key, int signals);
  ~FarmWorker();
  FarmWorker(const FarmWorker&) = delete;
  FarmWorker& operator=(const FarmWorker&) = delete;

  // Until it is drained, or cannot go on.
  [[nodiscard]] Status run();

 private:
  struct Impl;
  explicit FarmWorker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::worker
