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
#include "net/farm_records.h"
#include "net/farm_requests.h"
#include "net/farm_worker_messages.h"
#include "sharding/package/package_manifest.h"

namespace kiln::coordinator {

// A clock that the simulator moves: milliseconds since any start, never backwards.
using FarmTime = std::chrono::milliseconds;

// ---- durable ----
using net::ArtifactRecord;
using net::ArtifactState;
using net::AttemptRecord;
using net::ClipRecord;
using net::Envelope;
using net::JobRecord;
using net::LaneName;
using net::TaskNumber;
using net::TaskRecord;
using net::TaskState;

// A snapshot (coordinator/durable_snapshot.h) holds all of it: a field that is added here is added there.
struct Durable {
  std::map<net::JobName, JobRecord> jobs;
  std::map<TaskNumber, TaskRecord> tasks;
  std::set<TaskNumber> running;  // of all tasks, those in this state
  std::map<std::string, ArtifactRecord> artifacts;  // by key
  std::map<LaneName, std::string> set_aside;        // and why
  std::set<net::WorkerName> draining;
  std::map<Envelope, std::uint64_t> envelopes;  // budget that is needed at least
  TaskNumber next_task = 1;
  std::uint64_t next_order = 1;
  bool operator==(const Durable&) const = default;
};

// ---- live ----
struct LaneTask {
  TaskNumber number = 0;
  FarmTime assigned_at{0};  // or told again
  std::int64_t frames_done = 0;  // of a segment
  net::StageProgress stage{};    // of a shot
};

// What one frame takes of the cores of its host.
struct ModelCost {
  double core_seconds = 0.0;
  double frames_per_second = 0.0;  // of the model, had it never waited
};
struct MediaCost {
  double decode_core_seconds = 0.0;
  double encode_core_seconds = 0.0;
};

struct LaneLive {
  net::LaneOffer offer;
  bool up = true;
  std::vector<LaneTask> tasks;  // in the order in which it was given them
  std::map<TaskNumber, int> failed_in_a_row;  // tasks, and how often, since one was done
  std::uint64_t failures = 0;
  // At most kSpeedsKept each.
  std::map<std::string, double> frames_per_second;  // by what is rendered (speed_key), whole segments
  std::map<std::string, ModelCost> model_costs;     // likewise
  std::map<std::string, MediaCost> media_costs;     // by what is decoded and encoded (media_key)

  [[nodiscard]] bool idle() const { return tasks.empty(); }
  [[nodiscard]] LaneTask* find(TaskNumber number);
  [[nodiscard]] const LaneTask* find(TaskNumber number) const;
};

struct WorkerSession {
  std::string connection;  // where the shell reaches it
  net::WorkerHello hello;
  FarmTime heard_at{0};
  bool connected = true;
  bool leaving = false;  // was told to finish and end
  std::map<LaneId, LaneLive> lanes;
  std::map<LaneId, LaneTask> compiles;  // by the place that compiles it (net::compile_lane)
  std::set<LaneId> waiting_lanes;       // for a compile of their card, as it said last
  std::uint64_t compile_failures_in_a_row = 0;
};

struct Waiter {  // a client that waits for a job to change
  std::string connection;
  std::uint64_t request = 0;
  net::GetJob ask;
  FarmTime until{0};
};

struct Counters {
  std::uint64_t late_messages = 0;      // of an older attempt, task or session
  std::uint64_t assignments = 0;
  std::uint64_t assignments_again = 0;  // the worker did not have it
  std::uint64_t results = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t jobs_full = 0;          // of these, jobs that were one too many
  std::uint64_t workers_lost = 0;
  std::uint64_t workers_refused = 0;
  std::uint64_t waiters_full = 0;
  std::uint64_t waiters_held_back = 0;   // times that more were due than one pass answers
  std::uint64_t attempts_forgotten = 0;  // of tasks that were tried more than kAttemptsKept times
  std::uint64_t segments_lengthened = 0;  // beyond the rules, to stay below kSegmentsPerClipMax
  std::uint64_t artifacts_lost = 0;       // by the store, and made again
  std::uint64_t budgets_left_out = 0;     // of probes that lanes of more than kBudgetsMax sizes want
  std::uint64_t speeds_forgotten = 0;     // of lanes that rendered more than kSpeedsKept kinds of clips
  std::uint64_t artifacts_given_up = 0;   // more than kArtifactLossesMax times
  std::map<net::FailureKind, std::uint64_t> failures;
};

struct Live {
  std::map<net::WorkerName, WorkerSession> workers;
  std::vector<Waiter> waiters;
  std::uint64_t changes = 0;  // of all jobs: a name that is used again never goes back
  std::map<net::JobName, std::uint64_t> revisions;  // of jobs that are kept
  std::map<net::JobName, std::uint64_t> results_dropped;  // of attempts that were no longer valid
  std::map<net::JobName, std::map<std::string, int>> artifact_losses;  // by key, of jobs that have not ended
  std::map<net::JobName, std::vector<sharding::GraphDtype>> package_dtypes;  // of packages that were asked about: their manifests are long
  std::set<net::JobName> changed;  // since waiters were last looked at
  std::map<TaskNumber, FarmTime> orphans;  // running when the coordinator began: until when their worker may come back
  bool dirty = false;  // something could be assigned
  FarmTime started_at{0};
  Counters counters;
};

}  // namespace kiln::coordinator
