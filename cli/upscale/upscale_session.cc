#include "cli/upscale/upscale_session.h"

#include <poll.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/signal_fd.h"
#include "base/text.h"
#include "cli/farm/submission.h"
#include "cli/program_files.h"

namespace kiln::cli {
namespace {

constexpr int kExitBySignal = 128;
constexpr std::chrono::milliseconds kStatusPatience{5'000};
constexpr std::chrono::milliseconds kConnectPause{20};

bool is_silence(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

}  // namespace

UpscaleSession::UpscaleSession(const UpscaleOptions& options, FileSystem& files, const FinishedClips& finished,
                               LocalFarm& farm, int signals, std::function<void(const UpscaleReport&)> on_joined)
    : options_(options),
      files_(files),
      finished_(finished),
      farm_(farm),
      signals_(signals),
      on_joined_(std::move(on_joined)),
      progress_(!options.json) {}

double UpscaleSession::elapsed_s() const {
  return std::chrono::duration<double>(Clock::now() - options_.started).count();
}

bool UpscaleSession::all_placed() const {
  return std::all_of(clips_.begin(), clips_.end(), [](const ClipWork& clip) { return clip.placed; });
}

Result<UpscaleReport> UpscaleSession::run(std::vector<ClipWork> clips) {
  clips_ = std::move(clips);
  Status status = connect();
  if (status) status = begin();
  if (status) status = follow();
  if (status) status = wait_for_compiles();
  progress_.clear();
  if (!status) {
    // What was joined is in its place; of the rest nothing stays but the farm's job.
    for (const ClipWork& clip : clips_) {
      if (!clip.placed && !clip.taken) clip.place->discard();
    }
    return fail(status.error());
  }
  leave_farm();
  return report_;
}

// ---- phases ----

// The coordinator is coming up: its socket is not there yet.
Status UpscaleSession::connect() {
  const auto until = Clock::now() + kFarmPatience;
  for (;;) {
    KILN_TRY(on_signal());
    KILN_TRY(farm_.look());
    auto link = FarmLink::open({farm_.endpoint(), {}, {}, {}});
    if (link) {
      link_ = std::move(*link);
      return {};
    }
    if (Clock::now() >= until) return fail(link.error());
    pollfd polls[] = {{signals_, POLLIN, 0}};
    (void)::poll(polls, 1, static_cast<int>(kConnectPause.count()));
  }
}

Status UpscaleSession::begin() {
  job_ = make_job_request(options_, clips_).job;
  net::GetJob ask{job_};
  ask.detail = net::JobDetail::kClips;
  auto found = link_->ask_for<net::JobStatus>(ask, kFarmPatience);
  if (!found && found.error().code != ErrorCode::kNotFound) return fail(found.error());
  if (!found) return all_placed() ? Status{} : submit();
  before_ = *found;
  tries_failed_ = before_.attempts_failed + before_.lanes_lost;
  for (std::size_t i = 0; i < clips_.size() && i < before_.clips.size(); ++i) {
    clips_[i].segments_before = static_cast<std::int64_t>(before_.clips[i].segments_done);
  }
  const net::JobState state = before_.summary.state;
  if (state == net::JobState::kFailed || state == net::JobState::kCancelled) {
    KILN_TRY(link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kRetry}));
  } else if (state == net::JobState::kPaused) {
    KILN_TRY(link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kResume}));
  }
  return {};
}

Status UpscaleSession::submit() {
  JobDraft draft;
  draft.request = make_job_request(options_, clips_);
  draft.model = options_.package;
  draft.in_place = true;
  return submit_job(*link_, std::move(draft), [](const std::string& path) { log::debug("into the store: {}", path); });
}

// What was begun cannot be gone on with: other lanes would give other bits.
Status UpscaleSession::start_over(const std::string& why) {
  progress_.say(why);
  const net::JobState state = status_.summary.job.empty() ? before_.summary.state : status_.summary.state;
  const bool ended = state == net::JobState::kDone;
  if (!ended) KILN_TRY(link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kCancel}));
  KILN_TRY(link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kRemove}));
  before_ = {};
  status_ = {};
  tries_failed_ = 0;
  for (ClipWork& clip : clips_) clip.segments_before = 0;
  return submit();
}

Status UpscaleSession::follow() {
  while (!all_placed()) KILN_TRY(turn());
  report_.wall_s = elapsed_s();
  fill_report();
  progress_.clear();
  rendered_ = true;
  if (on_joined_) on_joined_(report_);
  return {};
}

Status UpscaleSession::wait_for_compiles() {
  if (!status_.compiling) return {};
  progress_.say("The video is done. Finishing the compiled artifact for next time (Ctrl-C twice to leave it).");
  interrupts_ = 0;
  while (status_.compiling && interrupts_ < 2) KILN_TRY(turn());
  report_.compiles = status_.compiles - before_.compiles;
  report_.compile_failures = status_.compile_failures;
  report_.compile_s = status_.compile_s - before_.compile_s;
  if (status_.compiling) {
    progress_.say("The artifact is left; the next run that has a use for it compiles it.");
  } else if (report_.compiles > 0) {
    progress_.say(fmt::format("The artifact is published, compiled in {}.", format_seconds(report_.compile_s)));
  } else {
    progress_.say(fmt::format("No artifact was made; see {}.", farm_.log_path("worker")));
  }
  return {};
}

// Everything is in its place: the farm need not keep it, and the same command is a new one from now on. An error here
// costs disk space until the next run, and no result.
void UpscaleSession::leave_farm() {
  const auto removed = link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kRemove});
  if (!removed && removed.error().code != ErrorCode::kNotFound) log::warn("{}", removed.error().message);
  for (const ClipWork& clip : clips_) finished_.forget(clip.identity);
  farm_.stop();
}

// ---- one turn ----

Status UpscaleSession::turn() {
  KILN_TRY(on_signal());
  KILN_TRY(farm_.look());
  net::GetJob ask{job_, status_.revision, kFollowWaitMs};
  ask.detail = net::JobDetail::kClips;  // the segments of a long clip are many, and not looked at on the way
  auto status = link_->ask_for<net::JobStatus>(ask, kStatusPatience);
  if (status) {
    silent_since_.reset();
    return on_status(std::move(*status));
  }
  // A coordinator that began anew counts revisions from the beginning.
  status_.revision = 0;
  if (!is_silence(status.error())) return fail(status.error());
  if (!silent_since_) silent_since_ = Clock::now();
  if (Clock::now() - *silent_since_ > kFarmPatience) return fail(status.error());
  return {};
}

Status UpscaleSession::on_signal() {
  int signal = 0;
  while (const int one = take_signal(signals_)) {
    ++interrupts_;
    signal = one;
  }
  if (signal == 0) return {};
  if (rendered_) {
    if (interrupts_ == 1) progress_.say("Once more to end without the artifact.");
    return {};
  }
  return fail(Error{ErrorCode::kCancelled, "interrupted; the same command goes on where this one stopped",
                    static_cast<ExitCode>(kExitBySignal + signal)});
}

Status UpscaleSession::on_status(net::JobStatus status) {
  status_ = std::move(status);
  if (report_.first_frame_s == 0.0 && status_.summary.frames_done > before_.summary.frames_done) {
    report_.first_frame_s = elapsed_s();
  }
  if (rendered_) return {};
  say_failures();
  say_warnings();
  show_progress();
  KILN_TRY(place_results());
  if (status_.summary.state == net::JobState::kFailed) return fail(why_it_failed());
  if (status_.summary.state == net::JobState::kCancelled) {
    return fail(make_error(ErrorCode::kCancelled, ExitCode::kFailed, "the job was cancelled"));
  }
  return all_placed() ? Status{} : look_at_lanes();
}

Error UpscaleSession::why_it_failed() const {
  if (options_.config.executor == "compiled") {  // the farm knows that nobody compiles here; this says why
    if (const auto python = find_python(options_.config.python); !python) {
      return python.error().with_context("--executor compiled");
    }
  }
  const int exit = status_.summary.exit;
  return Error{ErrorCode::kInternal, status_.summary.reason, exit == 0 ? ExitCode::kFailed : static_cast<ExitCode>(exit)};
}

// ---- what is said on the way ----

// Tries that failed, of tasks that were done in another: what ends the job is said once, as its error, and while lanes have several
// segments one may be done between the tries of another.
void UpscaleSession::say_failures() {
  std::uint64_t segments = 0;
  for (const net::ClipStatus& clip : status_.clips) segments += clip.segments_done;
  if (segments == segments_done_ && status_.summary.state != net::JobState::kDone) return;
  segments_done_ = segments;
  if (status_.attempts_failed + status_.lanes_lost == tries_failed_) return;
  const auto trace = link_->ask_for<net::Trace>(net::GetTrace{job_});
  if (!trace) return;
  std::set<std::uint64_t> done;
  for (const net::Span& span : trace->spans) {
    if (span.outcome == "done") done.insert(span.task);
  }
  bool all_said = true;
  for (const net::Span& span : trace->spans) {
    if (!span.outcome.starts_with("failed") || span.end_s < before_.summary.ended_s) continue;
    all_said = all_said && done.contains(span.task);
    if (!done.contains(span.task) || !failures_said_.emplace(span.task, span.attempt).second) continue;
    progress_.say(fmt::format("lane {}, {}: {}; it was tried again", span.lane.value, span.name, span.outcome));
  }
  if (all_said) tries_failed_ = status_.attempts_failed + status_.lanes_lost;
}

void UpscaleSession::say_warnings() {
  for (std::size_t i = 0; i < status_.clips.size() && i < clips_.size(); ++i) {
    for (const std::string& warning : status_.clips[i].warnings) {
      if (!warnings_said_.insert(warning).second || options_.json || clips_[i].placed) continue;
      progress_.say(clips_[i].source + ": " + warning);
    }
  }
}

void UpscaleSession::show_progress() {
  ProgressState state;
  state.lanes = lanes_ > 0 ? lanes_ : static_cast<std::size_t>(options_.config.lanes);
  state.compiling = status_.compiling;
  state.frames_total = status_.summary.frames_total;
  state.frames_done = status_.summary.frames_done;
  if (!status_.shots.empty()) state.stage = status_.shots.front().stage;
  progress_.show(state, elapsed_s());
}

}  // namespace kiln::cli
