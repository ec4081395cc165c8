// What workers and the coordinator say to each other. Plain data; net/kiln.proto says how it is written.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "net/farm_tasks.h"

namespace kiln::net {

// Both sides name the oldest and the newest version that they speak; no common one: refused.
inline constexpr std::uint32_t kFarmProtocolOldest = 1;
inline constexpr std::uint32_t kFarmProtocolNewest = 1;

struct ToolchainOffer {  // fields of sharding::Toolchain
  std::string torch_version;
  std::string torch_git;
  std::string cuda;
  std::string triton;
  std::string compiler;
  std::string libc;
  std::string recipe_sha256;
  bool operator==(const ToolchainOffer&) const = default;
};

// ---- worker to coordinator ----
struct RunningTask {
  std::uint64_t task = 0;
  Attempt attempt;
  LaneId lane;
  bool operator==(const RunningTask&) const = default;
};
struct WorkerHello {
  WorkerName worker;
  std::string instance;  // random, new with each start of the process
  int cores = 0;
  std::uint64_t memory_bytes = 0;
  std::string pool;
  std::vector<LaneOffer> lanes;
  bool compiles = false;           // it has a compile child
  ToolchainOffer toolchain;
  std::string signing_key;         // text of its public key (cache_store/trusted_keys.h)
  std::vector<RunningTask> running;  // after a time without coordinator: what it still works on
  bool leaving = false;            // it finishes what it works on and takes nothing more
  int compiles_at_once = 0;        // artifacts, each on a card of its own, as far as its cores carry it; 0: one
  std::string host;                // names the cores that it may use: workers with the same share them; empty: with nobody
  bool operator==(const WorkerHello&) const = default;
};
struct Heartbeat {
  std::uint64_t memory_available_bytes = 0;
  std::vector<RunningTask> running;  // all that it works on, or whose outcome was not taken: a lost message is noticed
  bool leaving = false;              // as in the hello
  std::vector<LaneId> waiting_lanes{};  // for a compile of their card, whose memory does not hold both
  bool operator==(const Heartbeat&) const = default;
};
struct LaneChanged {  // a lane came up again, or its budget is another one
  LaneOffer offer;
  bool up = true;
  std::string why;
  bool operator==(const LaneChanged&) const = default;
};
struct TaskProgress {
  std::uint64_t task = 0;
  Attempt attempt;
  std::int64_t frames_done = 0;
  std::int64_t frames_compiled = 0;
  std::uint64_t resident_bytes = 0;
  StageProgress stage{};  // of a shot
  bool operator==(const TaskProgress&) const = default;
};
struct TaskDone {  // sent again until ResultTaken comes
  std::uint64_t task = 0;
  Attempt attempt;
  TaskResult result;
  BlobRef log;
  bool operator==(const TaskDone&) const = default;
};
struct TaskFailed {  // likewise
  std::uint64_t task = 0;
  Attempt attempt;
  TaskFault fault;
  BlobRef log;
  bool operator==(const TaskFailed&) const = default;
};
struct AskRenewal {  // of the grants in Welcome
  bool operator==(const AskRenewal&) const = default;
};
struct Goodbye {  // drained and ending
  bool operator==(const Goodbye&) const = default;
};
using FromWorker = std::variant<WorkerHello, Heartbeat, LaneChanged, TaskProgress, TaskDone, TaskFailed, AskRenewal,
                                Goodbye>;

// ---- coordinator to worker ----
struct Welcome {  // also sent when grants or keys are renewed
  std::string epoch;            // of this session; another one means that the coordinator began anew
  std::uint32_t heartbeat_ms = 2000;
  std::string store_url;
  std::string read_query;       // GET below /cas/ and /artifact/
  std::string write_query;      // PUT of artifacts and logs
  std::int64_t expires_unix_s = 0;
  std::string trusted_keys;     // of all workers whose artifacts may be loaded
  bool operator==(const Welcome&) const = default;
};
struct Assign {
  std::uint64_t task = 0;
  Attempt attempt;
  LaneId lane;  // of a compile task: the place that compiles it (compile_lane)
  JobName job;
  PackageRef package;
  std::string write_query;  // PUT of what this task makes, kept for the job
  TaskSpec spec;
  bool operator==(const Assign&) const = default;
};
struct CancelTask {
  std::uint64_t task = 0;
  Attempt attempt;
  std::string why;
  bool operator==(const CancelTask&) const = default;
};
struct ResultTaken {
  std::uint64_t task = 0;
  Attempt attempt;
  bool operator==(const ResultTaken&) const = default;
};
struct ArtifactReady {
  std::string key;
  bool operator==(const ArtifactReady&) const = default;
};
struct DrainWorker {
  bool on = true;
  bool leave = false;  // with on: then say Goodbye and end
  bool operator==(const DrainWorker&) const = default;
};
struct WorkerRefused {
  Error error;
  bool operator==(const WorkerRefused& other) const {
    return error.code == other.error.code && error.message == other.error.message && error.exit == other.error.exit;
  }
};
using ToWorker = std::variant<Welcome, Assign, CancelTask, ResultTaken, ArtifactReady, DrainWorker, WorkerRefused>;

}  // namespace kiln::net
