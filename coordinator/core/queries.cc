// Answers that change nothing.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"
#include "coordinator/core/host_load.h"
#include "net/farm_limits.h"

namespace kiln::coordinator {
namespace {

net::JobState state_of(const JobRecord& job) {
  if (job.ended) return *job.ended;
  if (job.paused) return net::JobState::kPaused;
  return job.running.empty() && job.noop_done == 0 ? net::JobState::kWaiting : net::JobState::kRunning;
}

void add_segments(const ClipRecord& clip, const net::GetJob& ask, net::ClipStatus& out) {
  out.segments_done = clip.finished.size();
  if (ask.detail == net::JobDetail::kClips) return;
  for (auto at = clip.finished.lower_bound(ask.from_frame); at != clip.finished.end(); ++at) {
    if (ask.segments_max > 0 && out.segments.size() >= ask.segments_max) return;
    out.segments.push_back(at->second);
    if (ask.detail != net::JobDetail::kFrames) out.segments.back().frame_hashes.clear();
  }
}

net::ClipStatus clip_status(const JobRecord& job, std::size_t index, const net::GetJob& ask) {
  const ClipRecord& clip = job.clips[index];
  net::ClipStatus out;
  out.source = job.request.clips[index].source.path;
  out.output = job.request.clips[index].output.file_name;
  if (clip.probe) {
    out.width = clip.probe->output_width;
    out.height = clip.probe->output_height;
    out.frames = clip.probe->frames;
    out.duration_s = clip.probe->duration_s;
    out.warnings = clip.probe->warnings;
  }
  if (clip.plan) {
    const net::TileChoice& tile = clip.plan->tile;
    out.artifact_key = clip.plan->artifact_key;
    out.kind = clip.plan->kind;
    out.tile_height = tile.height;
    out.tile_width = tile.width;
    const std::int64_t pixels = static_cast<std::int64_t>(tile.height) * tile.width;
    out.tiles = pixels == 0 ? 0 : tile.computed_pixels / pixels;
  }
  add_segments(clip, ask, out);
  if (clip.result) {
    out.result = clip.result->output;
    out.warnings.insert(out.warnings.end(), clip.result->warnings.begin(), clip.result->warnings.end());
  }
  return out;
}

std::string lane_state(const Turn& turn, const LaneName& name, const LaneLive& lane) {
  if (turn.durable().set_aside.contains(name)) return "set aside";
  if (!lane.up) return "starting";
  if (waits_for_compile(turn, name)) return "waiting";
  return lane.idle() ? "idle" : "busy";
}

net::WorkerStatus worker_status(const Turn& turn, const net::WorkerName& name, const WorkerSession& session) {
  net::WorkerStatus out;
  out.worker = name;
  out.connected = session.connected;
  out.draining = session.leaving || turn.durable().draining.contains(name);
  out.cores = session.hello.cores;
  out.memory_bytes = session.hello.memory_bytes;
  out.heard_s_ago = static_cast<double>((turn.now.at - session.heard_at).count()) / 1000.0;
  out.compiling = !session.compiles.empty();
  out.pool = session.hello.pool;
  out.compiles = session.hello.compiles;
  for (const auto& [id, lane] : session.lanes) {
    net::LaneStatus one;
    one.offer = lane.offer;
    one.state = lane_state(turn, {name, id}, lane);
    const auto aside = turn.durable().set_aside.find({name, id});
    if (aside != turn.durable().set_aside.end()) one.why = aside->second;
    if (one.state == "waiting") one.why = "waits for the compile of its card, whose memory does not hold both";
    one.task = lane.idle() ? 0 : lane.tasks.front().number;
    one.failures = lane.failures;
    for (const auto& [key, speed] : lane.frames_per_second) one.frames_per_second = speed;
    out.lanes.push_back(std::move(one));
  }
  return out;
}

net::FarmStatus farm_status(const Turn& turn) {
  net::FarmStatus out;
  for (const auto& [name, job] : turn.durable().jobs) {
    const net::JobState state = state_of(job);
    if (job.ended) {
      ++out.jobs_ended;
    } else if (state == net::JobState::kRunning) {
      ++out.jobs_running;
    } else {
      ++out.jobs_waiting;
    }
    out.tasks_waiting += job.waiting.size() + static_cast<std::uint64_t>(job.request.noop_tasks - job.noop_next);
    out.tasks_running += job.running.size();
  }
  for (const auto& [name, session] : turn.live().workers) {
    if (!session.connected) continue;
    ++out.workers;
    out.lanes += session.lanes.size();
  }
  out.lanes_set_aside = turn.durable().set_aside.size();
  out.uptime_s = static_cast<double>((turn.now.at - turn.live().started_at).count()) / 1000.0;
  return out;
}

net::TaskLogs task_logs(const TaskRecord& task) {
  net::TaskLogs out;
  for (const AttemptRecord& attempt : task.attempts) {
    out.attempts.push_back({attempt.attempt.value, attempt.lane.worker, attempt.lane.lane, attempt.outcome, attempt.log});
  }
  return out;
}

std::string span_name(const TaskRecord& task) {
  switch (task.kind) {
    case net::TaskKind::kProbe: return fmt::format("probe clip {}", task.clip);
    case net::TaskKind::kCompile: return fmt::format("compile {}", task.key.substr(0, 12));
    case net::TaskKind::kSegment: return fmt::format("clip {} frames {} to {}", task.clip, task.first, task.last - 1);
    case net::TaskKind::kJoin: return fmt::format("join clip {}", task.clip);
    case net::TaskKind::kNoop: return "no-op";
  }
  return {};
}

net::Trace job_trace(const Turn& turn, const JobRecord& job) {
  net::Trace out;
  visit_tasks(turn.durable(), job, [&](TaskNumber number, const TaskRecord& task) {
    for (const AttemptRecord& one : task.attempts) {
      out.spans.push_back({number, one.attempt.value, span_name(task), one.lane.worker, one.lane.lane, one.start_s,
                           one.end_s == 0.0 ? turn.now.unix_s : one.end_s, one.outcome});
    }
  });
  return out;
}

net::Refused refused(ErrorCode code, std::string message) {
  return {Error{code, std::move(message), ExitCode::kNotFound}};
}

// Of the first clip that has a plan and is not done.
std::vector<std::string> host_lines(const Turn& turn, const JobRecord& job) {
  std::vector<std::string> out;
  const auto open = std::find_if(job.clips.begin(), job.clips.end(), [](const ClipRecord& clip) { return clip.plan && !clip.result; });
  if (job.ended || open == job.clips.end()) return out;
  const auto index = static_cast<std::uint32_t>(open - job.clips.begin());
  for (const HostSpeeds& host : clip_speeds(turn, job, index).hosts) out.push_back(host_line(host));
  return out;
}

// Whose logs are worth a look: what failed for good, and what is to be tried again.
std::vector<std::string> failed_lines(const Turn& turn, const JobRecord& job) {
  std::vector<std::string> out;
  visit_tasks(turn.durable(), job, [&](TaskNumber number, const TaskRecord& task) {
    const bool again = task.state == TaskState::kWaiting && !task.last_message.empty();
    if (task.state != TaskState::kFailed && !again) return;
    out.push_back(fmt::format("task {}, {}, failed{}: {} (kiln logs {})", number, span_name(task), again ? " and is tried again" : "",
                              task.last_message, number));
  });
  return out;
}

// As many as an answer may hold.
void cut_lines(std::vector<std::string>& lines) {
  if (lines.size() <= net::kLinesMax) return;
  const std::size_t left_out = lines.size() - net::kLinesMax + 1;
  lines.resize(net::kLinesMax - 1);
  lines.push_back(fmt::format("and {} more lines", left_out));
}

net::ClientReply explain(const Turn& turn, const net::Explain& ask) {
  if (ask.task != 0) {
    const TaskRecord* task = turn.task(ask.task);
    if (task == nullptr) return refused(ErrorCode::kNotFound, fmt::format("{}: no such task", ask.task));
    net::Explanation out = explain_task(turn, ask.task, *task);
    cut_lines(out.lines);
    return out;
  }
  const JobRecord* job = turn.job(ask.job);
  if (job == nullptr) return refused(ErrorCode::kNotFound, fmt::format("{}: no such job", ask.job));
  net::Explanation out = explain_job(turn, ask.job, *job);
  for (const std::vector<std::string>& more : {failed_lines(turn, *job), host_lines(turn, *job)}) {
    out.lines.insert(out.lines.begin() + 1, more.begin(), more.end());
  }
  cut_lines(out.lines);
  return out;
}

}  // namespace

net::JobSummary summary_of(const Turn& turn, const net::JobName& name, const JobRecord& job) {
  net::JobSummary out;
  out.job = name;
  out.title = job.request.title;
  out.owner = job.request.owner;
  out.pool = job.request.pool;
  out.priority = job.request.priority;
  out.state = state_of(job);
  out.reason = job.ended ? job.reason : explain_job(turn, name, job).lines.front();
  for (const ClipRecord& clip : job.clips) {
    if (clip.probe) out.frames_total += clip.probe->frames;
    out.frames_done += clip.frames_done;
  }
  for (const TaskNumber number : job.running) {
    const TaskRecord* task = turn.task(number);
    const LaneLive* lane = task == nullptr ? nullptr : turn.lane(task->lane);
    const LaneTask* on_lane = lane == nullptr ? nullptr : lane->find(number);
    if (on_lane != nullptr && task->kind == net::TaskKind::kSegment) out.frames_done += on_lane->frames_done;
  }
  out.submitted_s = job.submitted_s;
  out.ended_s = job.ended_s;
  out.exit = job.exit;
  return out;
}

namespace {

std::vector<net::ShotStanding> shots_at_work(const Turn& turn, const JobRecord& job) {
  std::vector<net::ShotStanding> out;
  if (!generates(job)) return out;
  for (const TaskNumber number : job.running) {
    const TaskRecord* task = turn.task(number);
    const LaneLive* lane = task == nullptr || task->kind != net::TaskKind::kSegment ? nullptr : turn.lane(task->lane);
    const LaneTask* on_lane = lane == nullptr ? nullptr : lane->find(number);
    if (on_lane != nullptr) out.push_back({number, task->clip, task->lane.worker, task->lane.lane, on_lane->stage});
  }
  return out;
}

}  // namespace

net::JobStatus status_of(const Turn& turn, const JobRecord& job, const net::GetJob& ask) {
  const net::JobName& name = ask.job;
  net::JobStatus out;
  out.summary = summary_of(turn, name, job);
  out.revision = std::max<std::uint64_t>(turn.revision(name), 1);
  out.clips_total = job.clips.size();
  for (std::size_t i = ask.first_clip; i < job.clips.size() && (ask.clips_max == 0 || out.clips.size() < ask.clips_max); ++i) {
    out.clips.push_back(clip_status(job, i, ask));
  }
  for (const auto& [lane, share] : job.shares) out.lanes.push_back(share);
  out.running_tasks.assign(job.running.begin(), job.running.end());
  out.shots = shots_at_work(turn, job);
  out.compiles = job.compiles;
  out.store_hits = job.store_hits;
  out.compile_s = job.compile_s;
  out.attempts_failed = job.attempts_failed;
  out.lanes_lost = job.lost_lanes.size();
  const auto dropped = turn.live().results_dropped.find(name);
  out.results_dropped = dropped == turn.live().results_dropped.end() ? 0 : dropped->second;
  for (const ClipRecord& clip : job.clips) {
    if (!clip.plan) continue;
    const auto artifact = turn.durable().artifacts.find(clip.plan->artifact_key);
    if (artifact == turn.durable().artifacts.end()) continue;
    out.compiling = out.compiling || artifact->second.state == ArtifactState::kWanted;
    out.compile_failures += artifact->second.state == ArtifactState::kFailed ? 1U : 0U;
  }
  return out;
}

net::ClientReply answer_query(const Turn& turn, const net::ClientRequest& request) {
  if (const auto* list = std::get_if<net::ListJobs>(&request)) {
    net::JobList out;
    for (const auto& [name, job] : turn.durable().jobs) {
      if (list->all || !job.ended) out.jobs.push_back(summary_of(turn, name, job));
    }
    return out;
  }
  if (std::holds_alternative<net::ListWorkers>(request)) {
    net::WorkerList out;
    for (const auto& [name, session] : turn.live().workers) out.workers.push_back(worker_status(turn, name, session));
    return out;
  }
  if (const auto* ask = std::get_if<net::Explain>(&request)) return explain(turn, *ask);
  if (const auto* logs = std::get_if<net::GetLogs>(&request)) {
    const TaskRecord* task = turn.task(logs->task);
    if (task == nullptr) return refused(ErrorCode::kNotFound, fmt::format("{}: no such task", logs->task));
    return task_logs(*task);
  }
  if (const auto* trace = std::get_if<net::GetTrace>(&request)) {
    const JobRecord* job = turn.job(trace->job);
    if (job == nullptr) return refused(ErrorCode::kNotFound, fmt::format("{}: no such job", trace->job));
    return job_trace(turn, *job);
  }
  return farm_status(turn);
}

}  // namespace kiln::coordinator
