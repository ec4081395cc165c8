#include "lane/pipelines/shot_pipeline.h"

#include <optional>
#include <utility>
#include <vector>

#include "lane/media/segment_writer.h"
#include "lane/pipelines/frame_convert.h"
#include "lane/pipelines/stopwatch.h"

namespace kiln::lane {
namespace {

// The frames of one shot on their way to its encoder, which is opened with the first.
class ShotWriter {
 public:
  ShotWriter(const MediaTools& tools, SegmentRun& run, FrameOutput output) : tools_(tools), run_(run), output_(std::move(output)) {}

  Status write(const RgbFrame& frame) {
    const Stopwatch watch(result().times.encode_s);
    const std::int64_t index = run_.frames_done.load();
    if (index >= run_.spec.clip->frame_count()) return fail(make_error(ErrorCode::kInternal, "a shot with more frames than were asked for"));
    KILN_TRY(output_.convert(frame, planes_));
    if (!writer_) {
      KILN_TRY_ASSIGN(writer_, SegmentWriter::open(tools_, run_.spec.settings, result().path, &run_.cancel, &result().times.encode_core_s));
      run_.first_frame_at = std::chrono::steady_clock::now();
    }
    append_frame_hash(planes_, result().frame_hashes);
    KILN_TRY(writer_->write(run_.spec.clip->frames[static_cast<std::size_t>(index)].pts, planes_));
    run_.frames_done.fetch_add(1);
    return {};
  }

  Status finish() {
    const Stopwatch watch(result().times.encode_s);
    if (run_.frames_done.load() != run_.spec.clip->frame_count()) {
      return fail(make_error(ErrorCode::kInternal, "a shot of {} frames, {} were asked for", run_.frames_done.load(),
                             run_.spec.clip->frame_count()));
    }
    KILN_TRY_ASSIGN(const SegmentSummary summary, writer_->finish());
    run_.bytes_written = summary.file_bytes;
    return {};
  }

 private:
  [[nodiscard]] PieceResult& result() const { return run_.pieces.front(); }

  const MediaTools& tools_;
  SegmentRun& run_;
  FrameOutput output_;
  std::optional<SegmentWriter> writer_;
  std::vector<std::byte> planes_;
};

}  // namespace

ShotPipeline::ShotPipeline(std::unique_ptr<ShotSource> source, const MediaTools& tools, ShotCallbacks callbacks)
    : source_(std::move(source)), tools_(tools), callbacks_(std::move(callbacks)) {
  thread_ = std::thread([this] { render_all(); });
}

ShotPipeline::~ShotPipeline() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [task, run] : held_) run->fail_with(make_error(ErrorCode::kCancelled, "the lane ends"), "cancelled");
  }
  waiting_.close();
  thread_.join();
}

void ShotPipeline::submit(SegmentSpec spec, net::Shot shot) {
  std::vector<RunPiece> pieces = cut_into_pieces(std::move(spec), 1);
  {
    const std::lock_guard lock(mutex_);
    held_[pieces.front().run->spec.task] = pieces.front().run;
  }
  waiting_.push({pieces.front().run, std::move(shot)});
}

void ShotPipeline::cancel(TaskId task) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(task);
  if (found != held_.end()) found->second->fail_with(make_error(ErrorCode::kCancelled, "cancelled"), "cancelled");
}

void ShotPipeline::render_all() {
  while (const auto work = waiting_.pop()) render_one(*work);
}

void ShotPipeline::render_one(const Work& work) {
  SegmentRun& run = *work.run;
  run.started = std::chrono::steady_clock::now();
  const double cores_before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  if (!run.failed()) {
    if (const Status status = render(run, work.shot); !status) run.fail_with(status.error());
  }
  run.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - run.started).count();
  StageTimes& times = run.pieces.front().times;
  times.model_s = std::max(0.0, run.wall_s - times.encode_s);
  run.model_core_s = std::max(0.0, cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cores_before);
  {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(run.spec.task);
    if (found != held_.end() && found->second == work.run) held_.erase(found);
  }
  callbacks_.on_end(run);
}

Status ShotPipeline::render(SegmentRun& run, const net::Shot& shot) {
  KILN_TRY_ASSIGN(FrameOutput output, FrameOutput::create(run.spec.settings.request));
  ShotWriter writer(tools_, run, std::move(output));
  ShotSink sink;
  sink.on_frame = [&](const RgbFrame& frame) { return writer.write(frame); };
  sink.on_progress = [&](const net::StageProgress& stage) { callbacks_.on_progress(run, stage); };
  sink.stop = [&] { return run.failed(); };
  KILN_TRY(source_->render(shot, sink));
  return writer.finish();
}

}  // namespace kiln::lane
