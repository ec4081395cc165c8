// What the coordinator answers to clients. Plain data; net/kiln.proto says how it is written.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "net/farm_requests.h"
#include "net/farm_tasks.h"

namespace kiln::net {

struct Done {  // of a request that asks for nothing back
  std::string note;  // for people, may be empty
  bool operator==(const Done&) const = default;
};
struct Refused {
  Error error;
  bool operator==(const Refused& other) const {
    return error.code == other.error.code && error.message == other.error.message && error.exit == other.error.exit;
  }
};
struct Grants {
  std::string store_url;
  std::string read_query;   // goes behind '?' of a GET or HEAD below /cas/ and /artifact/
  std::string write_query;  // of a PUT below /cas/; empty when it was not asked for
  std::int64_t expires_unix_s = 0;
  bool operator==(const Grants&) const = default;
};

enum class JobState : std::uint8_t { kWaiting, kRunning, kPaused, kDone, kFailed, kCancelled };

struct JobSummary {
  JobName job;
  std::string title;
  std::string owner;
  std::string pool;
  int priority = 0;
  JobState state = JobState::kWaiting;
  std::string reason;  // why it failed, or waits
  std::int64_t frames_total = 0;  // 0: not known yet
  std::int64_t frames_done = 0;
  double submitted_s = 0.0;  // Unix time
  double ended_s = 0.0;      // 0: not yet
  int exit = 0;              // of a failed job: the exit code that its fault asks for; 0: none
  bool operator==(const JobSummary&) const = default;
};
struct ClipStatus {
  std::string source;
  std::string output;
  std::int64_t width = 0;  // of the output
  std::int64_t height = 0;
  std::int64_t frames = 0;
  double duration_s = 0.0;
  std::string artifact_key;
  std::vector<SegmentResult> segments;  // those done that were asked for, in order
  BlobRef result;                       // empty until joined
  std::vector<std::string> warnings;
  LaneClass kind;                       // of the lanes that render it, once it is planned
  std::int64_t tile_height = 0;         // pixels of the source; 0: it is not planned yet
  std::int64_t tile_width = 0;
  std::int64_t tiles = 0;               // of a frame; 1: it is rendered whole
  std::uint64_t segments_done = 0;      // all of them
  bool operator==(const ClipStatus&) const = default;
};
struct LaneShare {  // of one job
  WorkerName worker;
  LaneId lane;
  std::int64_t segments = 0;
  std::int64_t frames = 0;
  double decode_s = 0.0;
  double model_s = 0.0;
  double encode_s = 0.0;
  double wait_decode_s = 0.0;
  double wait_encode_s = 0.0;
  double decode_core_s = 0.0;  // of the host's cores
  double model_core_s = 0.0;
  double encode_core_s = 0.0;
  bool operator==(const LaneShare&) const = default;
};
struct ShotStanding {
  std::uint64_t task = 0;
  std::uint32_t clip = 0;
  WorkerName worker;
  LaneId lane;
  StageProgress stage;
  bool operator==(const ShotStanding&) const = default;
};
struct JobStatus {
  JobSummary summary;
  std::uint64_t revision = 0;
  std::vector<ClipStatus> clips;  // those that were asked for
  std::vector<LaneShare> lanes;
  std::vector<std::uint64_t> running_tasks;
  std::uint64_t compiles = 0;
  std::uint64_t compile_failures = 0;
  std::uint64_t store_hits = 0;
  double compile_s = 0.0;
  std::uint64_t attempts_failed = 0;
  std::uint64_t lanes_lost = 0;       // that died, hung or vanished while they worked on it
  std::uint64_t results_dropped = 0;  // that came too late, since the coordinator's start
  bool compiling = false;  // an artifact of it is being made
  std::uint64_t clips_total = 0;
  std::vector<ShotStanding> shots{};  // those that lanes are at
  bool operator==(const JobStatus&) const = default;
};
struct JobList {
  std::vector<JobSummary> jobs;
  bool operator==(const JobList&) const = default;
};

struct LaneStatus {
  LaneOffer offer;
  std::string state;  // idle, busy, set aside, starting
  std::string why;    // set aside: the reason
  std::uint64_t task = 0;
  double frames_per_second = 0.0;  // of whole segments, latest job
  std::uint64_t failures = 0;
  bool operator==(const LaneStatus&) const = default;
};
struct WorkerStatus {
  WorkerName worker;
  bool connected = false;
  bool draining = false;
  int cores = 0;
  std::uint64_t memory_bytes = 0;
  double heard_s_ago = 0.0;
  bool compiling = false;
  std::vector<LaneStatus> lanes;
  std::string pool;
  bool compiles = false;  // it can make artifacts
  bool operator==(const WorkerStatus&) const = default;
};
struct WorkerList {
  std::vector<WorkerStatus> workers;
  bool operator==(const WorkerList&) const = default;
};
struct Explanation {
  std::vector<std::string> lines;  // the first one is the answer, the others are details
  bool operator==(const Explanation&) const = default;
};
struct AttemptLog {
  std::uint32_t attempt = 0;
  WorkerName worker;
  LaneId lane;
  std::string outcome;  // done, failed: …, lost, running
  BlobRef log;          // empty: none was kept
  bool operator==(const AttemptLog&) const = default;
};
struct TaskLogs {
  std::vector<AttemptLog> attempts;
  bool operator==(const TaskLogs&) const = default;
};
struct Span {
  std::uint64_t task = 0;
  std::uint32_t attempt = 0;
  std::string name;
  WorkerName worker;
  LaneId lane;
  double start_s = 0.0;  // Unix time
  double end_s = 0.0;
  std::string outcome;
  bool operator==(const Span&) const = default;
};
struct Trace {
  std::vector<Span> spans;
  bool operator==(const Trace&) const = default;
};
struct FarmStatus {
  std::uint64_t jobs_waiting = 0;
  std::uint64_t jobs_running = 0;
  std::uint64_t jobs_ended = 0;
  std::uint64_t tasks_waiting = 0;
  std::uint64_t tasks_running = 0;
  std::uint64_t workers = 0;
  std::uint64_t lanes = 0;
  std::uint64_t lanes_set_aside = 0;
  std::string version;
  double uptime_s = 0.0;
  bool operator==(const FarmStatus&) const = default;
};
using ClientReply = std::variant<Done, Refused, Grants, JobList, JobStatus, WorkerList, Explanation, TaskLogs, Trace,
                                 FarmStatus>;

}  // namespace kiln::net
