// One lane as the worker keeps it: its process, what it has been told of packages, clips and artifacts, and its log.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/fd.h"
#include "worker/artifact_builder.h"
#include "worker/lane_place.h"
#include "worker/lane_process.h"
#include "worker/generator_files.h"
#include "worker/model_package.h"

namespace kiln::worker {

inline constexpr std::uint32_t kClipsPerLane = 4;  // that a lane remembers; another one takes the oldest one's place
inline constexpr std::uint64_t kLaneLogBytesMax = 8U << 20U;  // beyond it the log begins anew with the next task
inline constexpr std::chrono::milliseconds kDyingLaneDeadline{2'000};

struct LaneHostOptions {
  LaneStart start;
  LanePlace place;
  std::string ffmpeg;
  std::string log_folder;
  std::string answers_folder;  // of the lanes' ffmpeg
};

// What a clip is to a lane: how it was described, and where its bytes are.
struct LaneClip {
  std::string description_sha256;
  std::string source;  // path or URL; empty: as the description says
  auto operator<=>(const LaneClip&) const = default;
};

// Owned by the loop thread, with which the lane dies.
class LaneHost {
 public:
  LaneHost(LaneId id, LaneHostOptions options);

  [[nodiscard]] Status start();
  [[nodiscard]] const LanePlace& place() const { return options_.place; }
  // From its next start on: what was there when the worker began may be another's now. Never more than then.
  void limit_rings(std::uint64_t bytes) { options_.place.ring_bytes = std::min(planned_ring_bytes_, bytes); }
  void kill();
  [[nodiscard]] bool running() const { return process_.has_value(); }
  [[nodiscard]] int fd() const { return process_ ? process_->fd() : -1; }
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }
  [[nodiscard]] Result<LaneArrival> receive();
  // It closed its end, or spoke nonsense: waits for it, kills it if need be.
  [[nodiscard]] ExitStatus bury();

  [[nodiscard]] Status send(const net::ToLane& message, const std::vector<int>& descriptors = {});
  // Loads its graphs of that dtype, unless they are what is loaded; with the group of that epoch (0: alone).
  [[nodiscard]] Status use_package(std::shared_ptr<const ModelPackage> package, sharding::GraphDtype dtype,
                                   std::uint64_t share = 0);
  // Opens its files, unless they are what is open.
  [[nodiscard]] Status use_generator(std::shared_ptr<const GeneratorFiles> files, sharding::GraphDtype dtype);
  // As a task names them: HASH/DTYPE of what was sent to it last.
  [[nodiscard]] bool has_loaded(const std::string& weights) const;
  [[nodiscard]] Result<ClipId> use_clip(const LaneClip& clip, int description_fd);
  // Of the loaded package; the lane answers with ArtifactBound or ArtifactRefused. Once for each artifact.
  [[nodiscard]] Status offer(const ReadyArtifact& artifact, const std::string& trusted_keys);

  // What it asked for; nullptr: there is none.
  [[nodiscard]] Status offer_kernels(const ReadyArtifact* kernels, const std::string& trusted_keys);

  [[nodiscard]] bool loading() const { return loading_; }
  void on_loaded() {
    loading_ = false;
    proven_ = true;
  }
  // It did something: then it was set up.
  [[nodiscard]] bool proven() const { return proven_; }
  void prove() { proven_ = true; }
  void unload();  // its package was refused
  // Since the last look: it or its children used the processor.
  [[nodiscard]] bool has_worked();

  // The log from here on is that of one attempt, and of whatever runs beside it. Of a lane that was idle it may begin anew.
  void begin_log(bool was_idle);
  [[nodiscard]] std::uint64_t log_begin() const { return log_begin_; }
  [[nodiscard]] const std::string& log_path() const { return log_path_; }
  [[nodiscard]] std::uint64_t clips_let_go() const { return clips_let_go_; }  // for others, with kClipsPerLane there
  [[nodiscard]] std::uint64_t logs_emptied() const { return logs_emptied_; }  // since it was more than kLaneLogBytesMax

 private:
  void forget();

  LaneId id_;
  LaneHostOptions options_;
  const std::uint64_t planned_ring_bytes_;
  std::optional<LaneProcess> process_;
  std::shared_ptr<const ModelPackage> package_;
  std::shared_ptr<const GeneratorFiles> generator_;  // in its place
  sharding::GraphDtype dtype_ = sharding::GraphDtype::kFloat32;  // of what is loaded
  std::map<LaneClip, ClipId> clips_;
  std::uint32_t clips_defined_ = 0;
  std::uint64_t clips_let_go_ = 0;
  std::set<Digest> offered_;
  bool loading_ = false;
  bool proven_ = false;
  std::uint64_t cpu_ticks_ = 0;
  std::string log_path_;
  UniqueFd log_;
  std::uint64_t log_begin_ = 0;
  std::uint64_t logs_emptied_ = 0;
};

// The last `bytes_max` bytes of a log from `begin` on, whole lines.
struct LogTail {
  std::string text;
  std::uint64_t cut_bytes = 0;  // left out before it
};
[[nodiscard]] LogTail read_log(const std::string& path, std::uint64_t begin, std::uint64_t bytes_max);

}  // namespace kiln::worker
