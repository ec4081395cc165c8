// `kiln run upscale`: this process plays the worker. It starts lanes and the compile child, holds key and
// store, hands out segments, and goes on where an interrupted run of the same command stopped.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/upscale/clip_job.h"
#include "cli/upscale/lane_pool.h"
#include "cli/upscale/progress_line.h"
#include "cli/upscale/upscale_report.h"
#include "sharding/segment_assignment.h"
#include "worker/artifact_builder.h"

namespace kiln::cli {

// Task ids of probes and joins are these plus the clip's; segments have their own number.
inline constexpr std::uint64_t kProbeTasks = 1ULL << 40U;
inline constexpr std::uint64_t kJoinTasks = 2ULL << 40U;
inline constexpr std::uint64_t kTaskIndexMask = kProbeTasks - 1;
inline constexpr LaneId kProbingLane{0};  // looks at all clips, while the others are still loading

// What the command holds for its whole life, in the order in which it is made.
struct SessionHost {
  FileSystem* files = nullptr;  // borrowed; outlives it
  UniqueFd signals;  // SIGINT and SIGTERM, which no thread is interrupted by
  std::string lane_program;
  std::string python;
  std::string torch_folder;
  std::string python_folder;
  std::unique_ptr<FileLock> lock;  // one command for each state folder
  std::unique_ptr<cache::SigningKey> key;  // on the heap: the builder keeps its address
  std::unique_ptr<cache::Store> store;
  std::optional<Error> no_compiling;    // why artifacts cannot be made here
  std::unique_ptr<worker::ArtifactBuilder> builder;  // null: no_compiling says why
};

// One thread runs it.
class UpscaleSession {
 public:
  // `on_joined` is told when every clip is in its place, before the wait for artifacts that are still being made.
  UpscaleSession(const UpscaleOptions& options, const PackageFolder& package, SessionHost& host,
                 std::function<void(const UpscaleReport&)> on_joined = {});
  [[nodiscard]] Result<UpscaleReport> run(std::vector<ClipJob> clips);

 private:
  using Clock = std::chrono::steady_clock;

  // Phases.
  [[nodiscard]] Status run_phases();
  [[nodiscard]] Status start_lanes();
  [[nodiscard]] Status probe_clips();
  [[nodiscard]] Status plan();
  [[nodiscard]] Status render();
  [[nodiscard]] Status wait_for_compiles();

  // Waits for lanes, artifacts and signals, and handles what came. Error: the job cannot go on.
  [[nodiscard]] Status turn();
  [[nodiscard]] Status on_signal();
  void on_artifacts();
  void on_late_artifact(const worker::ArtifactOutcome& outcome);
  void on_lane_message(LaneId lane, const net::FromLane& message);
  void on_lane_lost(LaneId lane, const std::string& why);

  void handle(LaneId lane, const net::PackageLoaded& message);
  void handle(LaneId lane, const net::ArtifactRefused& message);
  void handle(LaneId lane, const net::ProbeDone& message);
  void handle(LaneId lane, const net::Progress& message);
  void handle(LaneId lane, const net::SegmentDone& message);
  void handle(LaneId lane, const net::JoinDone& message);
  void handle(LaneId lane, const net::LaneTaskFailed& message);
  void handle(LaneId lane, const net::Failed& message);
  template <typename Other>
  void handle(LaneId, const Other&) {}

  void apply(const sharding::AssignmentEvent& event);
  void carry_out(const std::vector<sharding::AssignmentEffect>& effects);
  void assign(const sharding::AssignSegment& effect);
  void request_artifact(ClipJob& clip);
  void join_finished_clips();
  void add_clip_report(const ClipJob& clip, const std::vector<std::string>& warnings);
  void send_probes();
  void fail_job(Error error);
  void count(const worker::ArtifactOutcome& outcome);
  void warn_of_memory(const ClipJob& clip) const;
  [[nodiscard]] LaneWork lane_work(LaneId lane) const;
  void show_progress();
  [[nodiscard]] std::pair<ClipJob*, const sharding::Segment*> find_segment(SegmentId id);
  [[nodiscard]] double elapsed_s() const;

  const UpscaleOptions& options_;
  const PackageFolder& package_;
  SessionHost& host_;
  std::function<void(const UpscaleReport&)> on_joined_;
  PlanLimits limits_;
  std::uint64_t memory_free_bytes_ = 0;  // when the command began
  std::vector<ClipJob> clips_;
  std::unique_ptr<LanePool> lanes_;
  sharding::AssignmentState assignment_;
  std::set<Digest> awaited_;  // keys of artifacts that were asked for and have no outcome yet
  std::map<LaneId, bool> loaded_;                       // lanes that may get segments
  std::map<LaneId, net::Progress> running_;             // the latest of each lane's segment
  std::map<TaskId, LaneId> joins_;
  UpscaleReport report_;
  ProgressLine progress_;
  std::optional<Error> failure_;     // ends the job
  std::optional<Error> last_error_;  // of a segment: what the job ends with when it is tried no more
  int interrupts_ = 0;
  bool rendering_ = false;
  bool rendered_ = false;
  Clock::time_point shown_;
};

}  // namespace kiln::cli
