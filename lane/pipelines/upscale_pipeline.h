// Decode, model, encode: three threads with bounded queues between them. Segments follow each other
// without a gap: while one is still being encoded, the next is already being decoded and rendered.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/bounded_queue.h"
#include "lane/media/segment_writer.h"
#include "lane/pipelines/segment_run.h"
#include "lane/pipelines/device_frame_path.h"
#include "lane/pipelines/frame_path.h"

namespace kiln::lane {

// Segments that a lane holds at once: one in the model, one being decoded ahead or still being encoded.
inline constexpr std::size_t kSegmentsInLaneMax = 3;
// Frames between two stages: in host memory each is a whole frame of floats, on a card a slot of a ring.
inline constexpr std::size_t kFramesBetweenStages = 3;

struct UpscaleCallbacks {  // called from the pipeline's threads
  std::function<void(const SegmentRun&)> on_progress;
  std::function<void(const SegmentRun&)> on_end;  // done or failed; the run's last call
};

class UpscalePipeline {
 public:
  // `network` and `tools` are borrowed and outlive the pipeline. With `kernels` frames stay on the network's card between
  // decoder and encoder.
  UpscalePipeline(Network& network, const MediaTools& tools, UpscaleCallbacks callbacks,
                  std::shared_ptr<const KernelModule> kernels = nullptr);
  ~UpscalePipeline();  // cancels what runs
  UpscalePipeline(const UpscalePipeline&) = delete;
  UpscalePipeline& operator=(const UpscalePipeline&) = delete;

  // Blocks while kSegmentsInLaneMax are held.
  void submit(SegmentSpec spec);
  void cancel(TaskId task);
  // An artifact was bound: runs that insist on it go on.
  void artifact_arrived();

 private:
  using Run = std::shared_ptr<SegmentRun>;
  struct Decoded {
    Run run;
    std::int64_t index = -1;  // -1: the run's frames are over
    std::int64_t pts = 0;
    FramePath::SourcePtr frame;
  };
  struct Rendered {
    Run run;
    std::int64_t pts = 0;
    FramePath::OutputPtr frame;  // null: the run's frames are over
  };
  struct ModelState;

  void read_all();
  void read_one(const Run& run);
  [[nodiscard]] Result<std::unique_ptr<FramePath>> make_path(const SegmentSpec& spec);
  void model_all();
  void model_frame(ModelState& state, const Decoded& item);
  [[nodiscard]] Status render(ModelState& state, std::int64_t index);
  [[nodiscard]] Result<Executor> choose_executor(const SegmentRun& run);
  void write_all();
  [[nodiscard]] Status write_frame(std::optional<SegmentWriter>& writer, const Rendered& item) const;
  void end_run(const Run& run, SegmentWriter* writer);
  void forget(const Run& run);

  Network& network_;
  const MediaTools& tools_;
  UpscaleCallbacks callbacks_;
  std::unique_ptr<DevicePaths> device_paths_;  // the reader's
  BoundedQueue<Run> runs_{kSegmentsInLaneMax};
  BoundedQueue<Decoded> decoded_{kFramesBetweenStages};
  BoundedQueue<Rendered> rendered_{kFramesBetweenStages};

  std::mutex mutex_;
  std::condition_variable artifact_changed_;
  std::map<TaskId, Run> held_;  // guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_

  std::thread reader_;
  std::thread model_;
  std::thread writer_;
};

}  // namespace kiln::lane
