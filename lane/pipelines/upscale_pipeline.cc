#include "lane/pipelines/upscale_pipeline.h"

#include <algorithm>

#include "lane/media/frame_reader.h"
#include "lane/pipelines/host_frame_path.h"
#include "lane/pipelines/stopwatch.h"

namespace kiln::lane {
UpscalePipeline::UpscalePipeline(Network& network, const MediaTools& tools, UpscaleCallbacks callbacks,
                                 PipelineOptions options)
    : network_(network),
      tools_(tools),
      callbacks_(std::move(callbacks)),
      encoders_ending_(options.encoders_ending),
      waiting_(sharding::frames_waiting(options.channels)),
      decoded_(std::max<std::size_t>(options.channels, 1), waiting_) {
  const std::size_t count = std::max<std::size_t>(options.channels, 1);
  if (options.kernels != nullptr) {
    device_paths_ = std::make_unique<DevicePaths>(network_, std::move(options.kernels),
                                                  sharding::RingSizes{count, waiting_, options.ring_bytes});
  }
  for (std::size_t i = 0; i < count; ++i) channels_.push_back(std::make_unique<Channel>(i, waiting_));
  for (const auto& channel : channels_) {
    channel->reader = std::thread([this, &channel = *channel] { read_all(channel); });
    channel->writer = std::thread([this, &channel = *channel] { write_all(channel); });
  }
  model_ = std::thread([this] { model_all(); });
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
  for (const auto& channel : channels_) channel->pieces.close();
  for (const auto& channel : channels_) channel->reader.join();
  decoded_.close();
  model_.join();
  for (const auto& channel : channels_) channel->rendered.close();
  for (const auto& channel : channels_) channel->writer.join();
}

void UpscalePipeline::submit(SegmentSpec spec) {
  const std::size_t channels = device_paths_ != nullptr ? device_paths_->channels_for(spec) : channels_.size();
  std::optional<sharding::CardHoldings> holdings;
  if (device_paths_ != nullptr) holdings = device_paths_->holdings_for(spec);
  std::vector<RunPiece> pieces = cut_into_pieces(std::move(spec), channels);
  pieces.front().run->holdings = std::move(holdings);
  {
    const std::lock_guard lock(mutex_);
    held_[pieces.front().run->spec.task] = pieces.front().run;
  }
  for (RunPiece& piece : pieces) {
    next_channel_ = (next_channel_ + 1) % channels;
    channels_[next_channel_]->pieces.push(std::make_shared<RunPiece>(std::move(piece)));
  }
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

void UpscalePipeline::forget(SegmentRun& run) {
  const std::lock_guard lock(mutex_);
  run.first_frame_at = first_frame_at_;
  const auto found = held_.find(run.spec.task);
  if (found != held_.end() && found->second.get() == &run) held_.erase(found);
}

// ---- decode ----

void UpscalePipeline::read_all(Channel& channel) {
  while (auto piece = channel.pieces.pop()) {
    if (!(*piece)->run->failed()) read_one(channel, *piece);
    decoded_.push(channel.number, Decoded{*piece, -1, 0, nullptr});
  }
}

Result<std::unique_ptr<FramePath>> UpscalePipeline::make_path(const SegmentSpec& spec) {
  return device_paths_ != nullptr ? device_paths_->make(spec) : make_host_frame_path(network_, spec);
}

void UpscalePipeline::read_one(Channel& channel, const Piece& piece) {
  SegmentRun& run = *piece->run;
  const ClipInfo& clip = *run.spec.clip;
  const SegmentWindow window(piece->range);
  FrameReaderOptions options;
  options.cancel = &run.cancel;
  options.cpu_s = &piece->times().decode_core_s;
  auto reader = FrameReader::open(tools_, clip, {window.read_first(), window.read_end()}, options);
  if (!reader) return run.fail_with(reader.error());
  auto path = make_path(run.spec);
  if (!path) return run.fail_with(path.error());
  piece->frames = std::move(*path);
  RawFrame raw;
  while (!run.failed()) {
    FramePath::SourcePtr frame;
    {
      const Stopwatch watch(piece->times().decode_s);
      const CoreStopwatch cores(piece->times().decode_core_s, media_core_s_);
      const Result<bool> more = reader->read(raw);
      if (!more) return run.fail_with(more.error());
      if (!*more) return;
      auto taken = piece->frames->take_in(raw.bytes);
      if (!taken) return run.fail_with(taken.error());
      frame = std::move(*taken);
    }
    if (!decoded_.push(channel.number, Decoded{piece, raw.index, raw.pts, std::move(frame)})) return;
  }
}

// ---- model ----

// What this process used apart from its readers and writers: the model's thread, and those that it shares its work with.
double UpscalePipeline::model_cores_s() const { return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - media_core_s_.load(); }

void UpscalePipeline::model_all() {
  const auto has_room = [this](std::size_t channel) { return channels_[channel]->rendered.size() < waiting_; };
  while (auto taken = decoded_.pop(has_room)) {
    Channel& channel = *channels_[taken->channel];
    const Decoded& item = taken->value;
    if (item.piece != channel.model.piece) begin_piece(channel.model, item.piece);
    item.piece->times().wait_decode_s += taken->starved_s;
    item.piece->times().wait_encode_s += taken->held_s;
    if (item.index < 0) {
      end_piece(channel);
    } else if (!item.piece->run->failed()) {
      model_frame(channel, item);
    }
  }
}

void UpscalePipeline::begin_piece(ModelState& state, const Piece& piece) const {
  state = ModelState{piece, std::make_unique<SegmentWindow>(piece->range), {}};
  SegmentRun& run = *piece->run;
  if (run.unrendered == run.pieces.size() && run.started == std::chrono::steady_clock::time_point{}) {
    run.started = std::chrono::steady_clock::now();
    run.model_cores_at_start = model_cores_s();
  }
}

void UpscalePipeline::end_piece(Channel& channel) {
  SegmentRun& run = *channel.model.piece->run;
  if (--run.unrendered == 0) {
    const auto now = std::chrono::steady_clock::now();
    run.wall_s = std::chrono::duration<double>(now - std::max(run.started, rendered_until_)).count();
    rendered_until_ = now;
    const double cores_s = model_cores_s();
    run.model_core_s = std::max(0.0, cores_s - std::max(run.model_cores_at_start, model_cores_until_));
    model_cores_until_ = cores_s;
  }
  channel.rendered.push(Rendered{channel.model.piece, 0, nullptr});
  channel.model = ModelState{};
}

void UpscalePipeline::model_frame(Channel& channel, const Decoded& item) {
  ModelState& state = channel.model;
  state.frames[item.index] = item;
  while (const auto index = state.window->ready(item.index)) {
    if (auto status = render(channel, *index); !status) return state.piece->run->fail_with(status.error());
    if (state.piece->run->failed()) return;
    state.window->advance();
    const std::int64_t oldest = state.window->oldest_needed();
    state.frames.erase(state.frames.begin(), state.frames.lower_bound(oldest));
  }
}

Status UpscalePipeline::render(Channel& channel, std::int64_t index) {
  ModelState& state = channel.model;
  SegmentRun& run = *state.piece->run;
  KILN_TRY_ASSIGN(const Executor executor, choose_executor(run));
  std::vector<FramePath::SourcePtr> inputs;
  for (const std::int64_t wanted : state.window->inputs(index)) {
    const auto found = state.frames.find(wanted);
    if (found == state.frames.end()) {
      return fail(make_error(ErrorCode::kInternal, "frame {} is gone before frame {} was made", wanted, index));
    }
    inputs.push_back(found->second.frame);
  }
  KILN_TRY_ASSIGN(FramePath::OutputPtr out, state.piece->frames->render(state.piece->times(), executor, inputs));
  run.frames_done.fetch_add(1);
  if (executor == Executor::kCompiled) run.frames_compiled.fetch_add(1);
  {
    const Stopwatch watch(state.piece->times().wait_encode_s);
    channel.rendered.push(Rendered{state.piece, state.frames.at(index).pts, std::move(out)});
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

}  // namespace kiln::lane
