// What the coordinator keeps of jobs, tasks and artifacts: what the facts of its journal come to, and what its snapshots
// hold. Only apply_fact() of coordinator/core changes them; net/farm_snapshot.proto says how they are written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "net/farm_facts.h"
#include "net/farm_replies.h"

namespace kiln::net {

using TaskNumber = std::uint64_t;
struct LaneName {
  WorkerName worker;
  LaneId lane;
  auto operator<=>(const LaneName&) const = default;
};

enum class TaskState : std::uint8_t { kWaiting, kRunning, kDone, kFailed, kCancelled };

struct AttemptRecord {
  Attempt attempt;
  LaneName lane;
  double start_s = 0.0;
  double end_s = 0.0;  // 0: runs
  std::string outcome;
  BlobRef log;
  bool operator==(const AttemptRecord&) const = default;
};

struct TaskRecord {
  TaskKind kind = TaskKind::kNoop;
  JobName job;
  std::uint32_t clip = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::string key;  // of a compile task
  TaskState state = TaskState::kWaiting;
  Attempt attempt;  // of the running or last try; 0: none yet
  LaneName lane;    // of that try
  std::map<FailureKind, int> failures;
  std::set<LaneName> failed_on;
  std::string last_message;
  std::vector<AttemptRecord> attempts;  // the latest kAttemptsKept
  bool operator==(const TaskRecord&) const = default;
};

struct ClipRecord {
  TaskNumber probe_task = 0;
  std::optional<ProbeResult> probe;
  std::optional<ClipPlanned> plan;
  std::int64_t frontier = 0;  // frames before it belong to a task
  std::map<std::int64_t, TaskNumber> segments;          // by first frame
  std::map<std::int64_t, SegmentResult> finished;  // by first frame
  std::int64_t frames_done = 0;
  std::optional<JoinResult> result;
  bool operator==(const ClipRecord&) const = default;
};

struct JobRecord {
  JobRequest request;
  std::uint64_t order = 0;  // of submission
  double submitted_s = 0.0;
  double ended_s = 0.0;
  bool paused = false;
  std::optional<JobState> ended;  // done, failed or cancelled
  std::string reason;
  int exit = 0;  // of a failed one: the exit code that its fault asks for; 0: none
  std::vector<ClipRecord> clips;
  TaskNumber first_task = 0;
  std::int64_t noop_next = 0;  // no-op tasks before it were assigned once
  std::int64_t noop_done = 0;
  std::set<TaskNumber> waiting;  // tasks that may be assigned again
  std::set<TaskNumber> running;
  std::vector<TaskNumber> tasks;  // its compiles, segments and joins, ascending; probes and no-ops follow first_task
  std::map<LaneName, LaneShare> shares;
  std::uint64_t attempts_failed = 0;
  std::set<LaneName> lost_lanes;  // that died, hung or vanished while they worked on it
  std::uint64_t compiles = 0;
  std::uint64_t store_hits = 0;
  double compile_s = 0.0;
  bool operator==(const JobRecord&) const = default;
};

enum class ArtifactState : std::uint8_t { kWanted, kReady, kFailed };
struct ArtifactRecord {
  CompileWanted wanted;
  ArtifactState state = ArtifactState::kWanted;
  std::string reason;  // of a failure
  int exit = 0;        // the exit code that it asks for
  bool operator==(const ArtifactRecord&) const = default;
};

struct Envelope {  // what was learned from an out-of-memory
  LaneClass kind;
  std::string graph_sha256;
  int height = 0;
  int width = 0;
  auto operator<=>(const Envelope&) const = default;
};

}  // namespace kiln::net
