#include "lane/pipelines/upscale_pipeline.h"

#include "lane/media/frame_reader.h"
#include "lane/pipelines/frame_convert.h"
#include "lane/pipelines/host_frame_path.h"
#include "lane/pipelines/stopwatch.h"

namespace kiln::lane {
namespace {

std::string failure_class_of(const Error& error) {
  const bool bad_input = error.exit == ExitCode::kInputRefused || error.exit == ExitCode::kInputMissing;
  return bad_input ? "bad_input" : "error";
}

void fail_run(SegmentRun& run, const Error& error) { run.fail_with(error, failure_class_of(error)); }

}  // namespace

// What the model thread keeps for the run at hand.
struct UpscalePipeline::ModelState {
  Run run;
  std::unique_ptr<SegmentWindow> window;
  std::map<std::int64_t, Decoded> frames;  // by index in the clip; as many as the network looks at
  std::chrono::steady_clock::time_point started;
};

UpscalePipeline::UpscalePipeline(Network& network, const MediaTools& tools, UpscaleCallbacks callbacks,
                                 std::shared_ptr<const KernelModule> kernels)
    : network_(network), tools_(tools), callbacks_(std::move(callbacks)) {
  if (kernels != nullptr) {
    device_paths_ = std::make_unique<DevicePaths>(network_, std::move(kernels), kFramesBetweenStages);
  }
  reader_ = std::thread([this] { read_all(); });
  model_ = std::thread([this] { model_all(); });
  writer_ = std::thread([this] { write_all(); });
}

UpscalePipeline::~UpscalePipeline() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [task, run] : held_) {
      run->fail_with(make_error(ErrorCode::kCancelled, "the lane ends"), "cancelled");
    }
    artifact_changed_.notify_all();
  }
  runs_.close();
  reader_.join();
  decoded_.close();
  model_.join();
  rendered_.close();
  writer_.join();
}

void UpscalePipeline::submit(SegmentSpec spec) {
  auto run = std::make_shared<SegmentRun>(std::move(spec));
  {
    const std::lock_guard lock(mutex_);
    held_[run->spec.task] = run;
  }
  runs_.push(std::move(run));
}

void UpscalePipeline::cancel(TaskId task) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(task);
  if (found == held_.end()) return;
  found->second->fail_with(make_error(ErrorCode::kCancelled, "cancelled"), "cancelled");
  artifact_changed_.notify_all();
}

void UpscalePipeline::artifact_arrived() {
  const std::lock_guard lock(mutex_);
  artifact_changed_.notify_all();
}

void UpscalePipeline::forget(const Run& run) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(run->spec.task);
  if (found != held_.end() && found->second == run) held_.erase(found);
}

// ---- decode ----

void UpscalePipeline::read_all() {
  while (auto run = runs_.pop()) {
    if (!(*run)->failed()) read_one(*run);
    decoded_.push(Decoded{*run, -1, 0, nullptr});
  }
}

Result<std::unique_ptr<FramePath>> UpscalePipeline::make_path(const SegmentSpec& spec) {
  return device_paths_ != nullptr ? device_paths_->make(spec) : make_host_frame_path(network_, spec);
}

void UpscalePipeline::read_one(const Run& run) {
  const ClipInfo& clip = *run->spec.clip;
  const SegmentWindow window(run->spec.range);
  FrameReaderOptions options;
  options.cancel = &run->cancel;
  auto reader = FrameReader::open(tools_, clip, {window.read_first(), window.read_end()}, options);
  if (!reader) return fail_run(*run, reader.error());
  auto path = make_path(run->spec);
  if (!path) return fail_run(*run, path.error());
  run->path = std::move(*path);
  RawFrame raw;
  while (!run->failed()) {
    FramePath::SourcePtr frame;
    {
      const Stopwatch watch(run->decode_s);
      const Result<bool> more = reader->read(raw);
      if (!more) return fail_run(*run, more.error());
      if (!*more) return;
      auto taken = run->path->take_in(raw.bytes);
      if (!taken) return fail_run(*run, taken.error());
      frame = std::move(*taken);
    }
    if (!decoded_.push(Decoded{run, raw.index, raw.pts, std::move(frame)})) return;
  }
}

// ---- model ----

void UpscalePipeline::model_all() {
  ModelState state;
  while (true) {
    double waited_s = 0.0;
    std::optional<Decoded> item;
    {
      const Stopwatch watch(waited_s);
      item = decoded_.pop();
    }
    if (!item) return;
    if (item->run != state.run) {
      const SegmentSpec& spec = item->run->spec;
      state = ModelState{};
      state.run = item->run;
      state.started = std::chrono::steady_clock::now();
      state.window = std::make_unique<SegmentWindow>(spec.range);
    }
    state.run->wait_decode_s += waited_s;
    if (item->index >= 0) {
      if (!state.run->failed()) model_frame(state, *item);
      continue;
    }
    state.run->wall_s =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - state.started).count();
    rendered_.push(Rendered{state.run, 0, nullptr});
    state = ModelState{};
  }
}

void UpscalePipeline::model_frame(ModelState& state, const Decoded& item) {
  state.frames[item.index] = item;
  while (const auto index = state.window->ready(item.index)) {
    if (auto status = render(state, *index); !status) return fail_run(*state.run, status.error());
    if (state.run->failed()) return;
    state.window->advance();
    const std::int64_t oldest = state.window->oldest_needed();
    state.frames.erase(state.frames.begin(), state.frames.lower_bound(oldest));
  }
}

Status UpscalePipeline::render(ModelState& state, std::int64_t index) {
  SegmentRun& run = *state.run;
  KILN_TRY_ASSIGN(const Executor executor, choose_executor(run));
  std::vector<FramePath::SourcePtr> inputs;
  for (const std::int64_t wanted : state.window->inputs(index)) {
    const auto found = state.frames.find(wanted);
    if (found == state.frames.end()) {
      return fail(make_error(ErrorCode::kInternal, "frame {} is gone before frame {} was made", wanted, index));
    }
    inputs.push_back(found->second.frame);
  }
  KILN_TRY_ASSIGN(FramePath::OutputPtr out, run.path->render(run, executor, inputs));
  run.frames_done.fetch_add(1);
  if (executor == Executor::kCompiled) run.frames_compiled.fetch_add(1);
  {
    const Stopwatch watch(run.wait_encode_s);
    rendered_.push(Rendered{state.run, state.frames.at(index).pts, std::move(out)});
  }
  callbacks_.on_progress(run);
  return {};
}

// The switch from uncompiled to compiled happens here, between two frames.
Result<Executor> UpscalePipeline::choose_executor(const SegmentRun& run) {
  const SegmentSpec& spec = run.spec;
  if (spec.executor == ExecutorChoice::kUncompiled) return Executor::kUncompiled;
  if (network_.has_artifact(spec.tile)) return Executor::kCompiled;
  if (spec.executor == ExecutorChoice::kAny) return Executor::kUncompiled;
  std::unique_lock lock(mutex_);
  artifact_changed_.wait(lock, [&] { return network_.has_artifact(spec.tile) || run.failed() || stopping_; });
  if (run.failed()) return fail(run.error());
  return Executor::kCompiled;
}

// ---- encode ----

// The writer is opened with the run's first frame.
Status UpscalePipeline::write_frame(std::optional<SegmentWriter>& writer, const Rendered& item) const {
  SegmentRun& run = *item.run;
  KILN_TRY_ASSIGN(const auto planes, run.path->planes_of(run, *item.frame));
  const Stopwatch watch(run.encode_s);
  if (!writer) {
    KILN_TRY_ASSIGN(writer, SegmentWriter::open(tools_, run.spec.settings, run.spec.path, &run.cancel));
  }
  append_frame_hash(planes, run.frame_hashes);
  return writer->write(item.pts, planes);
}

void UpscalePipeline::write_all() {
  std::optional<SegmentWriter> writer;
  while (auto item = rendered_.pop()) {
    SegmentRun& run = *item->run;
    if (item->frame == nullptr) {
      end_run(item->run, writer ? &*writer : nullptr);
      writer.reset();
      continue;
    }
    if (run.failed()) continue;
    if (auto status = write_frame(writer, *item); !status) fail_run(run, status.error());
  }
}

void UpscalePipeline::end_run(const Run& run, SegmentWriter* writer) {
  if (!run->failed() && writer == nullptr) {
    run->fail_with(make_error(ErrorCode::kInternal, "a segment without frames"), "error");
  }
  if (!run->failed()) {
    const Stopwatch watch(run->encode_s);
    const auto summary = writer->finish();
    if (!summary) fail_run(*run, summary.error());
    if (summary) run->bytes_written = summary->file_bytes;
  }
  forget(run);
  callbacks_.on_end(*run);
}

}  // namespace kiln::lane
