// One clip of the command: what was asked for, what was found, what was planned, what is done.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ids.h"
#include "base/sha256.h"
#include "cli/upscale/job_folder.h"
#include "cli/upscale/output_place.h"
#include "cli/upscale/package_folder.h"
#include "cli/upscale/upscale_options.h"
#include "cli/upscale/upscale_report.h"
#include "net/lane_messages.h"
#include "sharding/segment_planner.h"
#include "sharding/tile_planner.h"

namespace kiln::cli {

struct ClipJob {
  ClipId id;
  std::string source;
  std::string identity;  // SHA-256 hex over everything that was asked for
  std::optional<OutputPlace> place;
  std::optional<JobFolder> folder;
  std::optional<JobPlan> earlier;  // of an interrupted run of the same command
  std::optional<ClipReport> finished_earlier;  // that run had joined it: nothing is left to do
  std::optional<net::ProbeDone> probe;
  std::shared_ptr<UniqueFd> description;  // sealed
  sharding::TilePlan tiles;
  sharding::SegmentPlan segments;
  std::optional<Digest> artifact_key;
  std::int64_t first_segment = 0;  // its first segment's number among all clips of the command
  std::vector<std::optional<SegmentRecord>> records;
  std::int64_t resumed_segments = 0;
  bool joined = false;

  [[nodiscard]] bool all_segments_done() const;
};

// Checks source and output, opens the job's folder and finds out whether an earlier run left something.
[[nodiscard]] Result<ClipJob> open_clip_job(FileSystem& files, const UpscaleOptions& options,
                                            const PackageFolder& package, ClipId id, const std::string& source,
                                            const std::string& output);

struct PlanLimits {
  int threads_per_lane = 1;
  int lanes = 1;
  int encoder_threads = 1;
  std::uint64_t activation_bytes_max = 0;  // of one lane, for a new plan; 0: no limit
  std::uint64_t memory_bytes = 0;          // of the machine: what a plan that was begun must fit; 0: not known
};

// The output is whole: puts it in its place, drops the segments, and a repeated command will know.
[[nodiscard]] Status finish_clip_job(FileSystem& files, const ClipJob& job, const ClipReport& report);

// Tiles and segments, once the clip was probed. Pure but for the package's graphs, which are in memory. What an
// earlier run began keeps its tiles, whatever the limit is now; where they fit no more, the job is refused.
[[nodiscard]] Status plan_clip(ClipJob& job, const UpscaleOptions& options, const PackageFolder& package,
                               const PlanLimits& limits);

// Writes the plan down, or takes over what an earlier run finished under the same plan.
[[nodiscard]] Status settle_plan(ClipJob& job, const PlanLimits& limits);

[[nodiscard]] net::SegmentTask segment_task(const ClipJob& job, const UpscaleOptions& options,
                                            const sharding::Segment& segment, TaskId task, Attempt attempt);
[[nodiscard]] net::JoinTask join_task(const ClipJob& job, const UpscaleOptions& options, TaskId task);

}  // namespace kiln::cli
