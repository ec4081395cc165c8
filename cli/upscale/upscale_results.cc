// The part of UpscaleSession that looks at lanes, puts results in their places, and reports.
#include <algorithm>
#include <filesystem>

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
  if (have.toolchain.empty() && have.arch == "cpu" && options_.config.executor == "any") {
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
    if (fitting != clip.kind || (worker_restarted_at_ && now - *worker_restarted_at_ > kFarmPatience)) return start_over();
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
  KILN_TRY_ASSIGN(net::Grants grants, link_->ask_for<net::Grants>(net::AskGrants{job_, false}));
  KILN_TRY_ASSIGN(BlobTransfer store, BlobTransfer::open(std::move(grants)));
  const std::string temporary = clip.place->temporary();
  if (!is_output_pattern(clip.output)) {
    KILN_TRY(store.download(status.result, temporary));
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
  report_.compiles = status_.compiles - before_.compiles;
  report_.compile_failures = status_.compile_failures;
  report_.compile_s = status_.compile_s - before_.compile_s;
  report_.compiles_running = status_.compiling ? 1 : 0;
  report_.store_hits = status_.store_hits - before_.store_hits;
  report_.results_dropped = status_.results_dropped;
  report_.lanes_lost = status_.lanes_lost;  // of all runs: lanes, however often each
}

}  // namespace kiln::cli
