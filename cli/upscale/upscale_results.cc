// The part of UpscaleSession that looks at lanes, puts results in their places, and reports.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/file_system.h"
#include "base/sha256.h"
#include "base/text.h"
#include "cli/farm/blob_transfer.h"
#include "cli/farm/job_status.h"
#include "cli/image_files.h"
#include "cli/upscale/upscale_session.h"
#include "worker/image_archive.h"

namespace kiln::cli {
namespace {

constexpr std::chrono::milliseconds kLanesInterval{500};
constexpr std::size_t kHashBytes = 16;

ClipReport clip_report(const ClipWork& clip, const net::ClipStatus& status) {
  ClipReport out;
  out.source = clip.source;
  out.output = clip.output;
  out.width = status.width;
  out.height = status.height;
  out.frames = status.frames;
  out.duration_s = status.duration_s;
  out.segments = static_cast<std::int64_t>(status.segments.size());
  out.segments_resumed = clip.segments_before;
  out.tiles = status.tiles;
  out.tile_width = status.tile_width;
  out.tile_height = status.tile_height;
  out.artifact_key = status.artifact_key;
  out.warnings = status.warnings;
  for (const net::SegmentResult& segment : status.segments) {
    out.frames_compiled += segment.frames_compiled;
    const auto hashes = std::as_bytes(std::span(segment.frame_hashes));
    for (std::size_t at = 0; at + kHashBytes <= segment.frame_hashes.size(); at += kHashBytes) {
      out.frame_hashes.push_back(to_hex(hashes.subspan(at, kHashBytes)));
    }
  }
  return out;
}

LaneReport difference(const net::LaneShare& now, const net::LaneShare& before) {
  return {now.segments - before.segments,   now.frames - before.frames,
          now.decode_s - before.decode_s,   now.model_s - before.model_s,
          now.encode_s - before.encode_s,   now.wait_decode_s - before.wait_decode_s,
          now.wait_encode_s - before.wait_encode_s};
}

std::uint64_t bytes_of(const std::string& path) {
  const auto info = posix_file_system().stat(path);
  return info ? info->size_bytes : 0;
}

bool is_file_of(const std::string& path, const net::BlobRef& blob) {
  const auto info = posix_file_system().stat(path);
  if (!info || info->size_bytes != blob.bytes) return false;
  const auto file = posix_file_system().open_for_read(path);
  const auto digest = file ? sha256_of_fd(file->get()) : fail(file.error());
  return digest && digest->hex() == blob.sha256;
}

}  // namespace

// ---- lanes ----

Status UpscaleSession::look_at_lanes() {
  const auto now = Clock::now();
  if (now - lanes_looked_at_ < kLanesInterval) return {};
  lanes_looked_at_ = now;
  const auto list = link_->ask_for<net::WorkerList>(net::ListWorkers{});
  if (!list) return {};
  for (const net::WorkerStatus& worker : list->workers) {
    if (!worker.connected || worker.lanes.empty()) continue;
    lanes_ = worker.lanes.size();
    report_.threads_per_lane = worker.lanes.front().offer.kind.threads;
    if (!lanes_fit_) KILN_TRY(fit_lanes(worker));
    return lanes_fit_ ? check_progress_is_possible(worker) : Status{};
  }
  return {};
}

// A clip that was begun is rendered by lanes of one kind. Another number of threads can be had; another processor or
// compiler cannot.
Status UpscaleSession::fit_lanes(const net::WorkerStatus& worker) {
  lanes_fit_ = true;
  const net::LaneClass& have = worker.lanes.front().offer.kind;
  if (options_.config.device == "auto" && have.arch == "cpu") {
    progress_.say(fmt::format("Lanes run on the CPU; {} says why.", farm_.log_path("worker")));
  }
  if (have.toolchain.empty() && have.arch == "cpu" && options_.config.executor == "any" && !options_.generates()) {
    progress_.say(fmt::format("Nothing is compiled here; see {}.", farm_.log_path("worker")));
  }
  for (std::size_t i = 0; i < clips_.size() && i < status_.clips.size(); ++i) {
    const net::ClipStatus& clip = status_.clips[i];
    // Cards of one host may be of several kinds.
    const bool has_lane = std::any_of(worker.lanes.begin(), worker.lanes.end(),
                                      [&](const net::LaneStatus& lane) { return lane.offer.kind == clip.kind; });
    if (clips_[i].placed || clip.tile_height == 0 || has_lane) continue;
    net::LaneClass fitting = have;
    fitting.threads = clip.kind.threads;
    const auto now = Clock::now();
    if (fitting != clip.kind || (worker_restarted_at_ && now - *worker_restarted_at_ > kFarmPatience)) {
      return start_over("The lanes are of another kind than those that began this job; it starts over.");
    }
    lanes_fit_ = false;
    if (worker_restarted_at_) return {};  // it is coming up; what is listed is its former self
    worker_restarted_at_ = now;
    return farm_.restart_worker(clip.kind.threads);
  }
  return {};
}

// Nobody else will come to help: what no lane may take now, none ever will.
Status UpscaleSession::check_progress_is_possible(const net::WorkerStatus& worker) {
  const auto stands = [](const net::LaneStatus& lane) { return lane.state == "idle" || lane.state == "set aside"; };
  const bool waits = status_.summary.state == net::JobState::kWaiting && !worker.compiling && !status_.compiling;
  if (!waits || !std::all_of(worker.lanes.begin(), worker.lanes.end(), stands)) {
    idle_since_.reset();
    return {};
  }
  const auto now = Clock::now();
  if (!idle_since_) idle_since_ = now;
  if (now - *idle_since_ < kIdlePatience) return {};
  const net::LaneStatus& lane = worker.lanes.front();
  return fail(make_error(ErrorCode::kResourceExhausted, ExitCode::kFailed, "{}",
                         lane.why.empty() ? status_.summary.reason : lane.why));
}

// ---- results ----

Status UpscaleSession::place_results() {
  for (std::uint32_t i = 0; i < clips_.size() && i < status_.clips.size(); ++i) {
    if (clips_[i].placed || status_.clips[i].result.sha256.empty()) continue;
    KILN_TRY(place_result(i));
  }
  return {};
}

Status UpscaleSession::place_result(std::uint32_t index) {
  ClipWork& clip = clips_[index];
  KILN_TRY_ASSIGN(const net::ClipStatus status, ask_clip_status(*link_, job_, index));
  KILN_TRY_ASSIGN(net::Grants grants, link_->ask_for<net::Grants>(net::AskGrants{job_, true}));
  KILN_TRY_ASSIGN(BlobTransfer store, BlobTransfer::open(std::move(grants)));
  const std::string temporary = clip.place->temporary();
  if (!is_output_pattern(clip.output)) {
    KILN_TRY_ASSIGN(const bool there, fetch_result(store, index, status.result));
    if (!there) return start_over("What was joined is not there any more; the job starts over.");
  } else {
    const std::string folder = folder_of(temporary);
    const std::string archive = folder + "/.images.tar";
    KILN_TRY(store.download(status.result, archive));
    const Status unpacked = worker::read_image_archive(archive, folder);
    (void)files_.remove_file(archive);
    KILN_TRY(unpacked);
  }
  return place_clip(files_, finished_, clip, clip_report(clip, status));
}

// The farm is ours, and so is what it joined: it moves to its place. False: nobody has it any more.
Result<bool> UpscaleSession::fetch_result(BlobTransfer& store, std::uint32_t index, const net::BlobRef& result) {
  ClipWork& clip = clips_[index];
  const std::string temporary = clip.place->temporary();
  // The same clip twice in one command: whoever is first must not take what the other is about to be told it has.
  const bool is_one_of_several = std::count_if(clips_.begin(), clips_.end(), [&](const ClipWork& other) {
                                   return bytes_of(other.source) == bytes_of(clip.source);
                                 }) > 1;
  if (!is_one_of_several) {
    clip.taken = true;
    KILN_TRY_ASSIGN(clip.taken, store.take(result, temporary));
    if (clip.taken) return true;
  }
  const Status fetched = store.download(result, temporary);
  if (fetched) return true;
  if (fetched.error().code != ErrorCode::kNotFound) return fail(fetched.error());
  // An earlier run of the command took it, and was ended before it was in its place.
  clip.taken = is_file_of(temporary, result);
  return clip.taken;
}

// Of this run's own tries. A farm that does not answer costs the figures, and no result.
void UpscaleSession::fill_phases() {
  const auto trace = link_->ask_for<net::Trace>(net::GetTrace{job_});
  if (!trace) return;
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double started = now - elapsed_s();
  double first = 0.0;
  double rendered = 0.0;
  double joined = 0.0;
  for (const net::Span& span : trace->spans) {
    if (span.start_s < started || span.outcome != "done") continue;
    const bool segment = span.name.starts_with("clip ");
    if (segment && (first == 0.0 || span.start_s < first)) first = span.start_s;
    if (segment) rendered = std::max(rendered, span.end_s);
    if (span.name.starts_with("join")) joined = std::max(joined, span.end_s);
  }
  PhaseReport& phases = report_.phases;
  auto step = [from = started](double to) mutable { return to > from ? to - std::exchange(from, to) : 0.0; };
  phases.start_s = step(first);
  phases.render_s = step(rendered);
  phases.join_s = step(joined);
  phases.place_s = step(started + report_.wall_s);
}

void UpscaleSession::fill_report() {
  for (const ClipWork& clip : clips_) report_.clips.push_back(clip.report);
  for (const net::LaneShare& share : status_.lanes) {
    net::LaneShare before;
    for (const net::LaneShare& one : before_.lanes) {
      if (one.lane == share.lane && one.worker == share.worker) before = one;
    }
    const LaneReport lane = difference(share, before);
    if (lane.segments > 0) report_.lanes[share.lane] = lane;
  }
  fill_phases();
  report_.compiles = status_.compiles - before_.compiles;
  report_.compile_failures = status_.compile_failures;
  report_.compile_s = status_.compile_s - before_.compile_s;
  report_.compiles_running = status_.compiling ? 1 : 0;
  report_.store_hits = status_.store_hits - before_.store_hits;
  report_.results_dropped = status_.results_dropped;
  report_.lanes_lost = status_.lanes_lost;  // of all runs: lanes, however often each
}

}  // namespace kiln::cli
