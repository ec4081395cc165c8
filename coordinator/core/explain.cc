// Why something waits, in one line, and what would unblock it.
#include <fmt/core.h>

#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator {
namespace {

using net::TaskKind;

std::string lane_text(const LaneName& name) {
  if (name.lane == kCompileLane) return fmt::format("{}'s compiler", name.worker);
  return fmt::format("{} lane {}", name.worker, name.lane.value);
}

// Every lane with the reason why it is not at work on this clip; `free` counts those that could be.
struct LaneReasons {
  std::vector<std::string> lines;
  int suitable = 0;
  int busy = 0;
};

LaneReasons lane_reasons(const Turn& turn, const JobRecord& job, const ClipRecord* clip) {
  LaneReasons out;
  for (const auto& [worker, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      const LaneName name{worker, id};
      auto why = unusable_reason(turn, job, name, lane);
      if (!why && clip != nullptr && clip->plan) why = unfit_reason(turn, job, *clip, name, lane);
      if (!why) {
        ++out.suitable;
        out.busy += lane.task != 0 ? 1 : 0;
        why = lane.task == 0 ? "idle" : fmt::format("works on task {}", lane.task);
      }
      out.lines.push_back(fmt::format("{}: {}", lane_text(name), *why));
    }
  }
  return out;
}

std::string waiting_line(const Turn& turn, const JobRecord& job, const ClipRecord* clip, const LaneReasons& lanes) {
  if (const auto blocked = blocked_reason(turn, job)) return *blocked;
  if (lanes.lines.empty()) return "no worker is connected (kiln worker)";
  if (clip != nullptr && clip->plan && job.request.executor == "compiled") {
    const auto artifact = turn.durable().artifacts.find(clip->plan->artifact_key);
    if (artifact != turn.durable().artifacts.end() && artifact->second.state == ArtifactState::kWanted) {
      return fmt::format("it waits for its artifact, which is being compiled for {} (task {})",
                         artifact->second.wanted.kind.arch, artifact->second.wanted.task);
    }
  }
  if (lanes.suitable == 0) return fmt::format("no lane may take it; {}", lanes.lines.front());
  if (lanes.busy == lanes.suitable) return fmt::format("all {} lanes that may take it are busy", lanes.suitable);
  return "it is about to be assigned";
}

const ClipRecord* first_open_clip(const JobRecord& job) {
  for (const ClipRecord& clip : job.clips) {
    if (!clip.result) return &clip;
  }
  return nullptr;
}

}  // namespace

// A job at work may still leave lanes out: their reasons are told in any case.
net::Explanation explain_job(const Turn& turn, const net::JobName&, const JobRecord& job) {
  if (job.ended) return {{job.reason.empty() ? "it has ended" : job.reason}};
  const LaneReasons lanes = lane_reasons(turn, job, first_open_clip(job));
  net::Explanation out;
  if (job.running.empty()) {
    out.lines.push_back(waiting_line(turn, job, first_open_clip(job), lanes));
  } else {
    out.lines.push_back(fmt::format("{} of its tasks run", job.running.size()));
  }
  for (const TaskNumber number : job.running) {
    const TaskRecord* task = turn.task(number);
    if (task != nullptr) out.lines.push_back(fmt::format("task {}: on {}", number, lane_text(task->lane)));
  }
  out.lines.insert(out.lines.end(), lanes.lines.begin(), lanes.lines.end());
  return out;
}

net::Explanation explain_task(const Turn& turn, TaskNumber number, const TaskRecord& task) {
  switch (task.state) {
    case TaskState::kDone: return {{fmt::format("task {} is done, by {}", number, lane_text(task.lane))}};
    case TaskState::kFailed: return {{fmt::format("task {} failed: {}", number, task.last_message)}};
    case TaskState::kCancelled: return {{fmt::format("task {} was cancelled with its job", number)}};
    case TaskState::kRunning:
      return {{fmt::format("task {} runs on {}, attempt {}", number, lane_text(task.lane), task.attempt.value)}};
    case TaskState::kWaiting: break;
  }
  const JobRecord* job = turn.job(task.job);
  if (job == nullptr) return {{"its job was removed"}};
  const ClipRecord* clip = task.clip < job->clips.size() ? &job->clips[task.clip] : nullptr;
  if (task.kind == TaskKind::kJoin && clip != nullptr && clip->probe && clip->frames_done < clip->probe->frames) {
    return {{fmt::format("it waits for frames: {} of {} are done", clip->frames_done, clip->probe->frames)}};
  }
  const ClipRecord* wanted = task.kind == TaskKind::kSegment ? clip : nullptr;
  const LaneReasons lanes = lane_reasons(turn, *job, wanted);
  net::Explanation out{{waiting_line(turn, *job, wanted, lanes)}};
  if (!task.last_message.empty()) out.lines.push_back(fmt::format("its last try failed: {}", task.last_message));
  out.lines.insert(out.lines.end(), lanes.lines.begin(), lanes.lines.end());
  return out;
}

}  // namespace kiln::coordinator
