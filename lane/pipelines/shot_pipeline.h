// Generate, encode: shots, one after the other, on a thread of their own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "lane/media/media_tools.h"
#include "lane/pipelines/segment_run.h"
#include "lane/pipelines/shot_source.h"

namespace kiln::lane {

inline constexpr std::size_t kShotsInLaneMax = 3;  // one at work, one ahead

struct ShotCallbacks {  // called from the pipeline's thread
  std::function<void(const SegmentRun& run, const net::StageProgress& stage)> on_progress;
  std::function<void(const SegmentRun& run)> on_end;  // done or failed; the run's last call
};

class ShotPipeline {
 public:
  // `tools` is borrowed and outlives the pipeline.
  ShotPipeline(std::unique_ptr<ShotSource> source, const MediaTools& tools, ShotCallbacks callbacks);
  ~ShotPipeline();  // cancels what runs
  ShotPipeline(const ShotPipeline&) = delete;
  ShotPipeline& operator=(const ShotPipeline&) = delete;

  // Blocks while kShotsInLaneMax wait. `spec`: all frames of the shot's clip.
  void submit(SegmentSpec spec, net::Shot shot);
  void cancel(TaskId task);

 private:
  struct Work {
    std::shared_ptr<SegmentRun> run;
    net::Shot shot;
  };
  void render_all();
  void render_one(const Work& work);
  [[nodiscard]] Status render(SegmentRun& run, const net::Shot& shot);

  const std::unique_ptr<ShotSource> source_;
  const MediaTools& tools_;
  const ShotCallbacks callbacks_;
  BoundedQueue<Work> waiting_{kShotsInLaneMax};
  std::mutex mutex_;
  std::map<TaskId, std::shared_ptr<SegmentRun>> held_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace kiln::lane
