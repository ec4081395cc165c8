// Decode, model, encode: threads with bounded queues between them. Segments follow each other without a gap: while one is
// still being encoded, the next is already being decoded and rendered. Where a card is faster than an encoder, several
// channels, each a decoder and an encoder, work on consecutive pieces of a segment side by side, and share the model.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "lane/media/segment_writer.h"
#include "lane/pipelines/device_frame_path.h"
#include "lane/pipelines/fair_queues.h"
#include "lane/pipelines/frame_path.h"
#include "lane/pipelines/segment_run.h"

namespace kiln::lane {

// Segments that a lane holds at once: one in the model, one being decoded ahead or still being encoded.
inline constexpr std::size_t kSegmentsInLaneMax = 3;

struct UpscaleCallbacks {  // called from the pipeline's threads
  std::function<void(const SegmentRun&)> on_progress;
  std::function<void(const SegmentRun&)> on_end;  // done or failed; the run's last call
};

struct PipelineOptions {
  std::shared_ptr<const KernelModule> kernels;  // with them frames stay on the network's card between decoder and encoder
  std::size_t channels = 1;
  std::uint64_t ring_bytes = 0;  // of the card's memory, for frames between the stages; 0: anything
  std::size_t encoders_ending = 0;  // of a channel, beside the one that is fed; at most kEncodersEndingMax
};

class UpscalePipeline {
 public:
  // `network` and `tools` are borrowed and outlive the pipeline.
  UpscalePipeline(Network& network, const MediaTools& tools, UpscaleCallbacks callbacks, PipelineOptions options = {});
  ~UpscalePipeline();  // cancels what runs
  UpscalePipeline(const UpscalePipeline&) = delete;
  UpscalePipeline& operator=(const UpscalePipeline&) = delete;

  // Blocks while kSegmentsInLaneMax are held.
  void submit(SegmentSpec spec);
  void cancel(TaskId task);
  // An artifact was bound: runs that insist on it go on.
  void artifact_arrived();

 private:
  using Piece = std::shared_ptr<RunPiece>;
  struct Decoded {
    Piece piece;
    std::int64_t index = -1;  // -1: the piece's frames are over
    std::int64_t pts = 0;
    FramePath::SourcePtr frame;
  };
  struct Rendered {
    Piece piece;
    std::int64_t pts = 0;
    FramePath::OutputPtr frame;  // null: the piece's frames are over
  };
  // What the model's thread keeps for the piece at hand.
  struct ModelState {
    Piece piece;
    std::unique_ptr<SegmentWindow> window;
    std::map<std::int64_t, Decoded> frames;  // by index in the clip; as many as the network looks at
  };
  struct Channel {
    Channel(std::size_t number_, std::size_t waiting) : number(number_), rendered(waiting) {}
    const std::size_t number;
    BoundedQueue<Piece> pieces{kSegmentsInLaneMax};
    BoundedQueue<Rendered> rendered;
    ModelState model;  // the model's thread
    std::thread reader;
    std::thread writer;
  };

  void read_all(Channel& channel);
  void read_one(Channel& channel, const Piece& piece);
  [[nodiscard]] Result<std::unique_ptr<FramePath>> make_path(const SegmentSpec& spec);
  void model_all();
  void begin_piece(ModelState& state, const Piece& piece) const;
  [[nodiscard]] double model_cores_s() const;
  void end_piece(Channel& channel);
  void model_frame(Channel& channel, const Decoded& item);
  [[nodiscard]] Status render(Channel& channel, std::int64_t index);
  [[nodiscard]] Result<Executor> choose_executor(const SegmentRun& run);
  void write_all(Channel& channel);
  [[nodiscard]] Status write_frame(std::optional<SegmentWriter>& writer, const Rendered& item);
  void finish_piece(const Piece& piece, SegmentWriter* writer);
  void forget(SegmentRun& run);

  Network& network_;
  const MediaTools& tools_;
  UpscaleCallbacks callbacks_;
  std::unique_ptr<DevicePaths> device_paths_;
  const std::size_t encoders_ending_;
  const std::size_t waiting_;  // frames between two stages of a channel
  FairQueues<Decoded> decoded_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::size_t next_channel_ = 0;  // the submitter's
  std::chrono::steady_clock::time_point rendered_until_{};  // the model's: when it was done with a run
  double model_cores_until_ = 0.0;        // likewise, model_cores_s()
  std::atomic<double> media_core_s_{0};  // of this process, by its readers and writers

  std::mutex mutex_;
  std::condition_variable artifact_changed_;
  std::map<TaskId, std::shared_ptr<SegmentRun>> held_;  // guarded by mutex_
  bool stopping_ = false;                               // guarded by mutex_
  std::optional<std::chrono::steady_clock::time_point> first_frame_at_;  // guarded by mutex_

  std::atomic<bool> any_written_{false};  // spares a lock for every frame
  std::thread model_;
};

}  // namespace kiln::lane
