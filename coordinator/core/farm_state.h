// What the coordinator knows. `Durable` is what the journal's facts make of it: apply_fact() alone changes it. `Live` is
// what sessions, clocks and reports add; it is gone after a restart and comes back with the workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "net/farm_facts.h"
#include "net/farm_worker_messages.h"

namespace kiln::coordinator {

using TaskNumber = std::uint64_t;
// A clock that the simulator moves: milliseconds since any start, never backwards.
using FarmTime = std::chrono::milliseconds;

struct LaneName {
  net::WorkerName worker;
  LaneId lane;
  auto operator<=>(const LaneName&) const = default;
};

// ---- durable ----
enum class TaskState : std::uint8_t { kWaiting, kRunning, kDone, kFailed, kCancelled };

struct AttemptRecord {
  Attempt attempt;
  LaneName lane;
  double start_s = 0.0;
  double end_s = 0.0;  // 0: runs
  std::string outcome;
  net::BlobRef log;
};

struct TaskRecord {
  net::TaskKind kind = net::TaskKind::kNoop;
  net::JobName job;
  std::uint32_t clip = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::string key;  // of a compile task
  TaskState state = TaskState::kWaiting;
  Attempt attempt;  // of the running or last try; 0: none yet
  LaneName lane;    // of that try
  std::map<net::FailureKind, int> failures;
  std::set<LaneName> failed_on;
  std::string last_message;
  std::vector<AttemptRecord> attempts;  // the latest kAttemptsKept
};

struct ClipRecord {
  TaskNumber probe_task = 0;
  std::optional<net::ProbeResult> probe;
  std::optional<net::ClipPlanned> plan;
  std::int64_t frontier = 0;  // frames before it belong to a task
  std::map<std::int64_t, TaskNumber> segments;          // by first frame
  std::map<std::int64_t, net::SegmentResult> finished;  // by first frame
  std::int64_t frames_done = 0;
  std::optional<net::JoinResult> result;
};

struct JobRecord {
  net::JobRequest request;
  std::uint64_t order = 0;  // of submission
  double submitted_s = 0.0;
  double ended_s = 0.0;
  bool paused = false;
  std::optional<net::JobState> ended;  // done, failed or cancelled
  std::string reason;
  int exit = 0;  // of a failed one: the exit code that its fault asks for; 0: none
  std::vector<ClipRecord> clips;
  TaskNumber first_task = 0;
  std::int64_t noop_next = 0;  // no-op tasks before it were assigned once
  std::int64_t noop_done = 0;
  std::set<TaskNumber> waiting;  // tasks that may be assigned again
  std::set<TaskNumber> running;
  std::map<LaneName, net::LaneShare> shares;
  std::uint64_t attempts_failed = 0;
  std::uint64_t lanes_lost = 0;
  std::uint64_t compiles = 0;
  std::uint64_t store_hits = 0;
  double compile_s = 0.0;
};

enum class ArtifactState : std::uint8_t { kWanted, kReady, kFailed };
struct ArtifactRecord {
  net::CompileWanted wanted;
  ArtifactState state = ArtifactState::kWanted;
  std::string reason;  // of a failure
  int exit = 0;        // the exit code that it asks for
};

struct Envelope {  // what was learned from an out-of-memory
  net::LaneClass kind;
  std::string graph_sha256;
  int height = 0;
  int width = 0;
  auto operator<=>(const Envelope&) const = default;
};

struct Durable {
  std::map<net::JobName, JobRecord> jobs;
  std::map<TaskNumber, TaskRecord> tasks;
  std::map<std::string, ArtifactRecord> artifacts;  // by key
  std::map<LaneName, std::string> set_aside;        // and why
  std::set<net::WorkerName> draining;
  std::map<Envelope, std::uint64_t> envelopes;  // budget that is needed at least
  TaskNumber next_task = 1;
  std::uint64_t next_order = 1;
};

// ---- live ----
struct LaneLive {
  net::LaneOffer offer;
  bool up = true;
  TaskNumber task = 0;  // 0: idle
  int failures_in_a_row = 0;
  std::uint64_t failures = 0;
  std::int64_t frames_done = 0;  // of the running segment
  FarmTime progress_at{0};
  FarmTime assigned_at{0};
  std::map<std::string, double> frames_per_second;  // by what is rendered (speed_key), whole segments
};

struct WorkerSession {
  std::string connection;  // where the shell reaches it
  net::WorkerHello hello;
  FarmTime heard_at{0};
  bool connected = true;
  bool leaving = false;  // was told to finish and end
  std::map<LaneId, LaneLive> lanes;
  TaskNumber compile_task = 0;
  FarmTime compile_assigned_at{0};
  std::uint64_t compile_failures_in_a_row = 0;
};

struct Waiter {  // a client that waits for a job to change
  std::string connection;
  std::uint64_t request = 0;
  net::JobName job;
  std::uint64_t after_revision = 0;
  FarmTime until{0};
};

struct Counters {
  std::uint64_t late_messages = 0;      // of an older attempt, task or session
  std::uint64_t assignments = 0;
  std::uint64_t assignments_again = 0;  // the worker did not have it
  std::uint64_t results = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t workers_lost = 0;
  std::uint64_t workers_refused = 0;
  std::uint64_t waiters_full = 0;
  std::map<net::FailureKind, std::uint64_t> failures;
};

struct Live {
  std::map<net::WorkerName, WorkerSession> workers;
  std::vector<Waiter> waiters;
  std::map<net::JobName, std::uint64_t> revisions;
  std::set<net::JobName> changed;  // since waiters were last looked at
  std::map<TaskNumber, FarmTime> orphans;  // running when the coordinator began: until when their worker may come back
  bool dirty = false;  // something could be assigned
  FarmTime started_at{0};
  Counters counters;
};

}  // namespace kiln::coordinator
