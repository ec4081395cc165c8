// What clients ask the coordinator, and what it answers. Plain data; net/kiln.proto says how it is written.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "net/farm_values.h"

namespace kiln::net {

enum class JobKind : std::uint8_t { kUpscale, kNoop, kGenerate };

struct ClipRequest {
  ClipSource source;
  OutputSettings output;
  bool operator==(const ClipRequest&) const = default;
};

// One acceptable way of running the job's tasks; listed best first.
struct Variant {
  std::string name;                 // "fp32", "small tiles"
  std::uint64_t budget_bytes_max = 0;  // 0: whatever the lane has; else tiles are planned for this
  bool operator==(const Variant&) const = default;
};

struct JobRequest {
  JobName job;
  JobKind kind = JobKind::kUpscale;
  std::string title;
  std::string owner;
  std::string pool;  // empty: any lane
  int priority = 0;  // higher first
  bool paused = false;
  std::string executor = "any";      // any | compiled | uncompiled
  std::string numerics = "strict";   // strict | tolerant: may classes of lanes be mixed in one clip
  std::string precision = "auto";    // auto | float32 | float16 | bfloat16: what the network is computed in
  CompileSettings compile{};
  std::int64_t segment_frames = 0;   // 0: by speed
  std::vector<std::string> depends_on;  // jobs that must have succeeded
  std::vector<Variant> variants;
  PackageRef package;
  std::string manifest;  // text of its manifest.toml
  std::vector<ClipRequest> clips;
  std::int64_t noop_tasks = 0;  // kNoop: how many tasks that do nothing (benchmarks of the coordinator)
  bool operator==(const JobRequest&) const = default;
};

// ---- requests ----
struct Submit {
  JobRequest request;
  bool operator==(const Submit&) const = default;
};
struct AskGrants {  // to read or write blobs of a job before it is submitted, or its results after
  JobName job;
  bool write = false;
  bool operator==(const AskGrants&) const = default;
};
struct ListJobs {
  bool all = false;  // finished ones as well
  bool operator==(const ListJobs&) const = default;
};
// How much of a job's clips: without their segments, with these, with the hash of every frame too.
enum class JobDetail : std::uint8_t { kClips, kSegments, kFrames };
struct GetJob {
  JobName job;
  std::uint64_t after_revision = 0;  // answers when the job has a later one …
  std::uint32_t wait_ms = 0;         // … or after this long (bounded by the coordinator)
  JobDetail detail = JobDetail::kFrames;
  std::uint32_t first_clip = 0;  // these clips …
  std::uint32_t clips_max = 0;   // … at most so many; 0: all
  std::int64_t from_frame = 0;      // of each of them the segments that begin there or later …
  std::uint32_t segments_max = 0;   // … at most so many; 0: all
  bool operator==(const GetJob&) const = default;
};
enum class JobVerb : std::uint8_t { kCancel, kPause, kResume, kRetry, kRemove };
struct ControlJob {
  JobName job;
  JobVerb verb = JobVerb::kCancel;
  bool operator==(const ControlJob&) const = default;
};
struct ListWorkers {
  bool operator==(const ListWorkers&) const = default;
};
struct Drain {
  WorkerName worker;
  bool on = true;
  bool leave = false;  // with on: it ends, and a worker that comes back under this name is given tasks again
  bool operator==(const Drain&) const = default;
};
struct Explain {
  std::uint64_t task = 0;  // 0: the job
  JobName job;
  bool operator==(const Explain&) const = default;
};
struct GetLogs {
  std::uint64_t task = 0;
  bool operator==(const GetLogs&) const = default;
};
struct GetTrace {
  JobName job;
  bool operator==(const GetTrace&) const = default;
};
struct GetStatus {
  bool operator==(const GetStatus&) const = default;
};
using ClientRequest = std::variant<Submit, AskGrants, ListJobs, GetJob, ControlJob, ListWorkers, Drain, Explain,
                                   GetLogs, GetTrace, GetStatus>;

}  // namespace kiln::net
