#include "cli/upscale/upscale_session.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "base/sealed_file.h"
#include "base/text.h"
#include "cache_store/trusted_keys.h"
#include "sharding/output_plan.h"
#include "worker/host_probe.h"

namespace kiln::cli {
namespace {

constexpr std::chrono::milliseconds kTurn{200};
constexpr int kExitBySignal = 128;

}  // namespace

UpscaleSession::UpscaleSession(const UpscaleOptions& options, const PackageFolder& package, SessionHost& host,
                               std::function<void(const UpscaleReport&)> on_joined)
    : options_(options),
      package_(package),
      host_(host),
      on_joined_(std::move(on_joined)),
      progress_(!options.json) {}

double UpscaleSession::elapsed_s() const {
  return std::chrono::duration<double>(Clock::now() - options_.started).count();
}

Result<UpscaleReport> UpscaleSession::run(std::vector<ClipJob> clips) {
  clips_ = std::move(clips);
  const Status status = run_phases();
  if (lanes_ != nullptr) lanes_->stop_all();
  progress_.clear();
  if (!status) {
    // What was joined is in its place; of the rest nothing stays but the job's folder.
    for (const ClipJob& clip : clips_) {
      if (!clip.joined) clip.place->discard();
    }
    return fail(status.error());
  }
  return report_;
}

Status UpscaleSession::run_phases() {
  KILN_TRY(start_lanes());
  KILN_TRY(probe_clips());
  KILN_TRY(plan());
  KILN_TRY(render());
  return wait_for_compiles();
}

Status UpscaleSession::start_lanes() {
  // An empty store has no artifact for this clip either: the child imports while the clip is looked at.
  if (host_.builder != nullptr && host_.store->stats().used_bytes == 0) host_.builder->warm_up();
  const worker::HostResources resources = worker::probe_resources();
  limits_.lanes = options_.config.lanes;
  limits_.threads_per_lane =
      sharding::plan_lane_threads(static_cast<int>(resources.cores), limits_.lanes, options_.config.threads_per_lane)
          .threads;
  limits_.encoder_threads = std::max(1, static_cast<int>(resources.cores) / limits_.lanes);
  for (const ClipJob& clip : clips_) {
    if (!clip.earlier) continue;
    limits_.threads_per_lane = clip.earlier->threads_per_lane;
    limits_.encoder_threads = clip.earlier->encoder_threads;
  }
  limits_.activation_bytes_max = sharding::plan_activation_bytes(
      resources.memory_bytes, static_cast<int>(resources.cores), options_.config.activation_mib);
  limits_.memory_bytes = resources.memory_bytes;
  memory_free_bytes_ = resources.memory_available_bytes;

  LanePoolOptions pool;
  pool.start = {host_.lane_program, host_.torch_folder, options_.verbose};
  pool.threads_per_lane = limits_.threads_per_lane;
  pool.encoder_threads = limits_.encoder_threads;
  pool.device = options_.config.device;
  pool.ffmpeg = options_.config.ffmpeg;
  pool.silence_max = std::chrono::seconds(options_.config.lane_silence_s);
  cache::TrustedKeys trusted;
  trusted.trust(host_.key->public_key());
  pool.trusted_keys = trusted.to_text();
  lanes_ = std::make_unique<LanePool>(
      std::move(pool), package_,
      LanePoolEvents{[this](LaneId lane, const net::FromLane& message) { on_lane_message(lane, message); },
                     [this](LaneId lane, const std::string& why) { on_lane_lost(lane, why); }});
  for (int i = 0; i < limits_.lanes; ++i) KILN_TRY(lanes_->start(LaneId{static_cast<std::uint32_t>(i)}));
  return {};
}

// ---- phases ----

Status UpscaleSession::probe_clips() {
  send_probes();
  const auto probed = [](const ClipJob& clip) { return clip.joined || clip.probe.has_value(); };
  while (!std::all_of(clips_.begin(), clips_.end(), probed)) KILN_TRY(turn());
  return {};
}

void UpscaleSession::send_probes() {
  for (const ClipJob& clip : clips_) {
    if (clip.joined || clip.probe) continue;
    net::ProbeTask task;
    task.task.value = kProbeTasks | clip.id.value;
    task.source = clip.source;
    task.output = clip.place->output();
    task.codec = options_.config.codec;
    task.scale = options_.scale;
    task.network_scale = package_.manifest.scale;
    task.deinterlace = options_.deinterlace;
    task.frame_rate = options_.frame_rate;
    task.pixel_format = options_.pixel_format;
    (void)lanes_->send(kProbingLane, task);
  }
}

Status UpscaleSession::plan() {
  std::int64_t segment_count = 0;
  std::vector<SegmentId> finished;
  for (ClipJob& clip : clips_) {
    clip.first_segment = segment_count;
    if (clip.finished_earlier) {
      report_.clips.push_back(*clip.finished_earlier);
      continue;
    }
    KILN_TRY(plan_clip(clip, options_, package_, limits_));
    warn_of_memory(clip);
    if (options_.config.executor != "uncompiled") request_artifact(clip);
    KILN_TRY(settle_plan(clip, limits_));
    segment_count += static_cast<std::int64_t>(clip.segments.segments.size());
    for (const auto& record : clip.records) {
      if (record) finished.push_back({static_cast<std::uint32_t>(clip.first_segment + record->segment)});
    }
    KILN_TRY_ASSIGN(UniqueFd description, make_sealed("clip", std::as_bytes(std::span(clip.probe->clip))));
    clip.description = std::make_shared<UniqueFd>(std::move(description));
    lanes_->define_clip(clip.id, clip.description);
  }
  if (failure_) return fail(*failure_);
  std::vector<LaneId> ids;
  for (int i = 0; i < limits_.lanes; ++i) ids.push_back({static_cast<std::uint32_t>(i)});
  KILN_TRY_ASSIGN(assignment_, sharding::begin_assignment(segment_count, finished, ids));
  return {};
}

// Nothing follows from it: what is free changes by the minute, tiles must not.
void UpscaleSession::warn_of_memory(const ClipJob& clip) const {
  const std::uint64_t needed = clip.tiles.activation_bytes * static_cast<std::uint64_t>(limits_.lanes);
  if (memory_free_bytes_ == 0 || needed <= memory_free_bytes_) return;
  log::warn("{}: {} lane(s) may need {} for activations and {} is free; fewer lanes or a smaller "
            "run.activation_mib need less", clip.source, limits_.lanes, format_bytes(needed),
            format_bytes(memory_free_bytes_));
}

Status UpscaleSession::render() {
  rendering_ = true;
  carry_out(sharding::settle(assignment_));
  for (const auto& [lane, ready] : loaded_) {
    if (ready) apply(sharding::LaneUp{lane});
  }
  const auto joined = [](const ClipJob& clip) { return clip.joined; };
  while (!std::all_of(clips_.begin(), clips_.end(), joined)) {
    join_finished_clips();
    KILN_TRY(turn());
    if (failure_) return fail(*failure_);
  }
  report_.wall_s = elapsed_s();
  for (const ClipJob& clip : clips_) clip.folder->remove();
  progress_.clear();
  report_.results_dropped = static_cast<std::uint64_t>(assignment_.dropped_count);
  report_.threads_per_lane = limits_.threads_per_lane;
  report_.compiles_running = awaited_.size();
  rendered_ = true;
  if (on_joined_) on_joined_(report_);
  return {};
}

// ---- one turn of the loop ----

Status UpscaleSession::turn() {
  std::vector<pollfd> polls = {{host_.signals.get(), POLLIN, 0}};
  if (host_.builder != nullptr) polls.push_back({host_.builder->ready_fd(), POLLIN, 0});
  const std::size_t first_lane = polls.size();
  for (const int fd : lanes_->wait_fds()) polls.push_back({fd, POLLIN, 0});
  if (::poll(polls.data(), polls.size(), static_cast<int>(kTurn.count())) < 0 && errno != EINTR) {
    return fail(errno_error(errno, "poll"));
  }
  if (polls[0].revents != 0) KILN_TRY(on_signal());
  if (first_lane == 2 && polls[1].revents != 0) on_artifacts();
  for (std::size_t i = first_lane; i < polls.size(); ++i) {
    if (polls[i].revents != 0) lanes_->on_readable(polls[i].fd);
  }
  lanes_->kill_silent(Clock::now(), [this](LaneId lane) { return lane_work(lane); });
  show_progress();
  if (failure_) return fail(*failure_);
  return {};
}

LaneWork UpscaleSession::lane_work(LaneId lane) const {
  const auto running = running_.find(lane);
  if (running != running_.end()) {
    const bool waits = options_.config.executor == "compiled" && !awaited_.empty() && running->second.frames_done == 0;
    return waits ? LaneWork::kNothing : LaneWork::kSegment;
  }
  const bool joins = std::any_of(joins_.begin(), joins_.end(), [&](const auto& join) { return join.second == lane; });
  const bool probes = lane == kProbingLane && !rendering_;
  return joins || probes ? LaneWork::kChore : LaneWork::kNothing;
}

Status UpscaleSession::on_signal() {
  signalfd_siginfo info{};
  while (::read(host_.signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) ++interrupts_;
  if (rendered_) {
    if (interrupts_ == 1) progress_.say("Once more to end without the artifact.");
    return {};
  }
  return fail(Error{ErrorCode::kCancelled, "interrupted; the same command goes on where this one stopped",
                    static_cast<ExitCode>(kExitBySignal + static_cast<int>(info.ssi_signo))});
}

void UpscaleSession::fail_job(Error error) {
  if (!failure_) failure_ = std::move(error);
}

void UpscaleSession::show_progress() {
  const auto now = Clock::now();
  if (!rendering_ || rendered_ || now - shown_ < kTurn) return;
  shown_ = now;
  ProgressState state;
  state.lanes = lanes_->running();
  state.compiling = !awaited_.empty();
  for (const ClipJob& clip : clips_) {
    if (clip.finished_earlier) continue;
    state.frames_total += clip.probe->frames;
    for (const auto& record : clip.records) {
      if (record) state.frames_done += record->frames;
    }
  }
  for (const auto& [lane, progress] : running_) state.frames_done += progress.frames_done;
  progress_.show(state, elapsed_s());
}

}  // namespace kiln::cli
