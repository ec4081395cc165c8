// What the coordinator's journal holds: facts, never inputs. Applying them again decides nothing, so that newer code
// reads an older journal. Fields are only ever added; net/kiln.proto says how they are written.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "net/farm_replies.h"
#include "net/farm_requests.h"
#include "net/farm_tasks.h"

namespace kiln::net {

// Times are Unix seconds, for people; nothing is decided by them.
struct JobAccepted {
  JobRequest request;
  std::uint64_t first_task = 0;  // probes of its clips, or its no-op tasks, have this number and those behind it
  double at_s = 0.0;
  bool operator==(const JobAccepted&) const = default;
};
// Everything that frames of a clip depend on, fixed from here on.
struct ClipPlanned {
  JobName job;
  std::uint32_t clip = 0;
  LaneClass kind;            // of the lanes that render it
  TileChoice tile;
  std::string variant;       // the job's; empty: it names none
  std::string artifact_key;  // hex; empty: uncompiled
  std::uint64_t join_task = 0;
  std::string reason;
  int encoder_threads = 0;   // of every segment: other counts give other bits; 0: as each lane likes
  std::string encoder{};     // of cards, of every segment; empty: software
  bool operator==(const ClipPlanned&) const = default;
};
struct CompileWanted {
  std::uint64_t task = 0;
  std::string key;
  LaneClass kind;
  JobName job;  // whose package holds the graph
  std::uint32_t graph = 0;
  int height = 0;
  int width = 0;
  std::string dtype = "float32";  // of the graph
  CompileSettings settings{};     // those that shape code
  bool operator==(const CompileWanted&) const = default;
};
enum class TaskKind : std::uint8_t { kProbe, kCompile, kSegment, kJoin, kNoop };
struct Assigned {
  std::uint64_t task = 0;
  Attempt attempt;
  TaskKind kind = TaskKind::kNoop;
  JobName job;
  std::uint32_t clip = 0;
  std::int64_t first = 0;  // of a segment: frames [first, last); its first assignment cuts it off the clip
  std::int64_t last = 0;
  WorkerName worker;
  LaneId lane;
  double at_s = 0.0;
  std::string reason;
  bool operator==(const Assigned&) const = default;
};
struct ResultAccepted {
  std::uint64_t task = 0;
  Attempt attempt;
  TaskResult result;
  BlobRef log;
  double at_s = 0.0;
  bool operator==(const ResultAccepted&) const = default;
};
struct AttemptEnded {  // failed, or lost with its lane
  std::uint64_t task = 0;
  Attempt attempt;
  TaskFault fault;
  BlobRef log;
  bool final = false;  // the task is tried no more
  double at_s = 0.0;
  bool operator==(const AttemptEnded&) const = default;
};
struct JobControlled {
  JobName job;
  JobVerb verb = JobVerb::kCancel;
  double at_s = 0.0;
  bool operator==(const JobControlled&) const = default;
};
struct JobEnded {
  JobName job;
  JobState state = JobState::kDone;
  std::string reason;
  double at_s = 0.0;
  int exit = 0;  // of a failed job: the exit code that its fault asks for; 0: none
  bool operator==(const JobEnded&) const = default;
};
struct LaneSetAside {
  WorkerName worker;
  LaneId lane;
  bool on = true;
  std::string why;
  bool operator==(const LaneSetAside&) const = default;
};
struct WorkerDrained {
  WorkerName worker;
  bool on = true;
  bool operator==(const WorkerDrained&) const = default;
};
// After one out-of-memory: lanes of that class need more than this for that shape.
struct EnvelopeLearned {
  LaneClass kind;
  std::string graph_sha256;
  int height = 0;
  int width = 0;
  std::uint64_t budget_bytes_min = 0;
  bool operator==(const EnvelopeLearned&) const = default;
};
using Fact = std::variant<JobAccepted, ClipPlanned, CompileWanted, Assigned, ResultAccepted, AttemptEnded,
                          JobControlled, JobEnded, LaneSetAside, WorkerDrained, EnvelopeLearned>;

}  // namespace kiln::net
