// The lanes of this command: started, set up, told about clips and artifacts, started again when they die.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ids.h"
#include "cli/upscale/package_folder.h"
#include "net/lane_messages.h"
#include "worker/artifact_builder.h"
#include "worker/lane_process.h"

namespace kiln::cli {

inline constexpr std::chrono::seconds kLaneStopDeadline{5};

// What a lane is at, as far as its silence means anything.
enum class LaneWork {
  kNothing,
  kSegment,  // it tells of every frame
  kChore,    // loading, probing, joining: a long one is silent, but it and its children work
};

struct LanePoolOptions {
  worker::LaneStart start;
  int threads_per_lane = 1;
  int encoder_threads = 1;
  std::string device = "cpu";
  std::string ffmpeg;
  std::string trusted_keys;
  std::chrono::seconds silence_max{600};  // after which a lane hangs
  sharding::GraphDtype dtype = sharding::GraphDtype::kFloat32;
};

struct LanePoolEvents {
  std::function<void(LaneId, const net::FromLane&)> on_message;
  std::function<void(LaneId, const std::string& why)> on_lost;
};

// One thread owns it, which also lives as long as the lanes should: they die with it.
class LanePool {
 public:
  // `package` is borrowed and outlives the pool.
  LanePool(LanePoolOptions options, const PackageFolder& package, LanePoolEvents events);

  [[nodiscard]] Status start(LaneId id);
  // Every lane, now and after a restart, gets it before it is given segments.
  void define_clip(ClipId clip, std::shared_ptr<UniqueFd> description);
  void offer_artifact(std::shared_ptr<const worker::ReadyArtifact> artifact);

  [[nodiscard]] Status send(LaneId id, const net::ToLane& message);
  // Descriptors to wait on, and what to do with those that are readable.
  [[nodiscard]] std::vector<int> wait_fds() const;
  void on_readable(int fd);
  // Kills a lane whose segment told nothing for silence_max, or whose chore neither told anything nor used any
  // processor time. Those that have not loaded their package are at that chore.
  void kill_silent(std::chrono::steady_clock::time_point now, const std::function<LaneWork(LaneId)>& work_of);
  void stop(LaneId id);
  void stop_all();
  [[nodiscard]] std::size_t running() const { return lanes_.size(); }
  [[nodiscard]] std::vector<pid_t> pids() const;

 private:
  struct Lane {
    worker::LaneProcess process;
    std::chrono::steady_clock::time_point heard;
    bool loaded = false;
    std::uint64_t cpu_ticks = 0;  // of it and its children, when last looked at
  };
  [[nodiscard]] Status set_up(Lane& lane);
  [[nodiscard]] Status send_clip(Lane& lane, ClipId clip, const UniqueFd& description);
  [[nodiscard]] Status send_artifact(Lane& lane, const worker::ReadyArtifact& artifact);
  void catch_up(Lane& lane);
  [[nodiscard]] static bool has_worked(Lane& lane);
  void lose(LaneId id, const std::string& why);

  LanePoolOptions options_;
  const PackageFolder& package_;
  LanePoolEvents events_;
  std::map<LaneId, Lane> lanes_;
  std::map<ClipId, std::shared_ptr<UniqueFd>> clips_;
  std::vector<std::shared_ptr<const worker::ReadyArtifact>> artifacts_;
};

}  // namespace kiln::cli
