// Who gets what next. Jobs by priority, then by order of submission; of one job what failed before and what others wait for
// comes before new segments; idle lanes before those that are given something ahead.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"
#include "coordinator/core/host_load.h"
#include "sharding/precision.h"
#include "sharding/segment_cut.h"

namespace kiln::coordinator {
namespace {

using net::TaskKind;

struct JobTurn {
  net::JobName name;
  JobRecord* job = nullptr;
};

std::vector<JobTurn> jobs_in_order(const Turn& turn) {
  std::vector<JobTurn> out;
  for (auto& [name, job] : turn.durable().jobs) {
    const bool resurrected = turn.has_bug(SeededBug::kCancelThatResurrects) && job.ended == net::JobState::kCancelled;
    if ((!job.ended || resurrected) && !blocked_reason(turn, job)) out.push_back({name, &job});
  }
  std::stable_sort(out.begin(), out.end(), [](const JobTurn& a, const JobTurn& b) {
    if (a.job->request.priority != b.job->request.priority) return a.job->request.priority > b.job->request.priority;
    return a.job->order < b.job->order;
  });
  return out;
}

net::Assigned assignment(TaskNumber number, Attempt attempt, TaskKind kind, const net::JobName& job) {
  net::Assigned out;
  out.task = number;
  out.attempt = attempt;
  out.kind = kind;
  out.job = job;
  return out;
}

void assign(Turn& turn, const LaneName& name, LaneLive* lane, net::Assigned fact) {
  fact.worker = name.worker;
  fact.lane = name.lane;
  fact.at_s = turn.now.unix_s;
  const TaskNumber number = fact.task;
  const net::JobName job = fact.job;
  if (lane != nullptr) lane->tasks.push_back({number, turn.now.at, 0});
  ++turn.live().counters.assignments;
  const TaskRecord* known = turn.task(number);
  turn.live().counters.attempts_forgotten += known != nullptr && known->attempts.size() >= kAttemptsKept ? 1U : 0U;
  turn.record(std::move(fact));
  turn.tell(name.worker, make_assign(turn, number, *turn.task(number)));
  turn.changed(job);
}

Attempt next_attempt(const Turn& turn, const TaskRecord& task) {
  if (turn.has_bug(SeededBug::kLostFence) && task.kind == TaskKind::kCompile && task.attempt.value > 0) return task.attempt;
  return {task.attempt.value + 1};
}

// Another lane that may take the task, and on which it has not failed, is better.
bool better_lane_exists(const Turn& turn, const JobRecord& job, const TaskRecord& task, const LaneName& here) {
  return failed_at(task, here) && other_lane_may_take(turn, job, task);
}

bool artifact_missing(const Turn& turn, const JobRecord& job, const ClipRecord& clip) {
  if (job.request.executor != "compiled") return false;
  const auto found = turn.durable().artifacts.find(clip.plan->artifact_key);
  return found == turn.durable().artifacts.end() || found->second.state != ArtifactState::kReady;
}

// What a lane can be given now, beside what it has.
struct LaneRoom {
  bool segment = false;
  bool chore = false;
};

bool assign_waiting(Turn& turn, const JobTurn& one, const LaneName& name, LaneLive& lane, LaneRoom room) {
  for (const TaskNumber number : one.job->waiting) {
    const TaskRecord& task = *turn.task(number);
    const bool is_segment = task.kind == TaskKind::kSegment;
    if (is_segment ? !room.segment : !room.chore) continue;
    if (is_segment) {
      const ClipRecord& clip = one.job->clips[task.clip];
      if (artifact_missing(turn, *one.job, clip) || unfit_reason(turn, *one.job, clip, name, lane)) continue;
    }
    if (better_lane_exists(turn, *one.job, task, name)) continue;
    net::Assigned fact = assignment(number, next_attempt(turn, task), task.kind, task.job);
    fact.clip = task.clip;
    fact.first = task.first;
    fact.last = task.last;
    fact.reason = task.attempt.value == 0 ? "its turn" : fmt::format("again: {}", task.last_message);
    assign(turn, name, &lane, std::move(fact));
    return true;
  }
  return false;
}

// Of the first segment of a card, whose speed is not known yet, times the rule: it is faster than any processor.
constexpr std::int64_t kFirstFramesOfCards = 4;

// Of a clip of millions of frames segments are longer than the rules say, so that one join can take them all.
std::int64_t frames_least(const ClipRecord& clip) { return (clip.probe->frames + kSegmentsPerClipMax - 1) / kSegmentsPerClipMax; }

sharding::SegmentCut cut(const Turn& turn, const JobRecord& job, std::uint32_t index, const LaneName& name, const LaneLive& lane) {
  const FarmRules& rules = turn.state.rules;
  const ClipRecord& clip = job.clips[index];
  const ClipSpeeds all = clip_speeds(turn, job, index);
  sharding::SegmentCutRequest request;
  request.frames_left = clip.probe->frames - clip.frontier;
  request.lane_frames_per_second = all.frames_per_second.at(name);
  request.total_frames_per_second = all.total;
  request.lane_count = static_cast<std::int64_t>(all.frames_per_second.size());
  request.lane_frames_due = frames_due(turn, lane);
  request.total_frames_due = all.frames_due;
  const std::int64_t least = frames_least(clip);
  request.fixed_frames = job.request.segment_frames == 0 ? 0 : std::max(job.request.segment_frames, least);
  request.target_ms = rules.segment_target_ms;
  request.frames_min = std::max(rules.segment_frames_min, least);
  request.frames_max = std::max(rules.segment_frames_max, least);
  const bool has_card = sharding::compute_capability(lane.offer.kind.arch) > 0;
  request.frames_first = std::max(rules.segment_frames_first * (has_card ? kFirstFramesOfCards : 1), least);
  return sharding::cut_segment(request);
}

bool assign_new_segment(Turn& turn, const JobTurn& one, const LaneName& name, LaneLive& lane) {
  for (std::uint32_t i = 0; i < one.job->clips.size(); ++i) {
    const ClipRecord& clip = one.job->clips[i];
    if (!clip.plan || clip.frontier >= clip.probe->frames || artifact_missing(turn, *one.job, clip)) continue;
    if (unfit_reason(turn, *one.job, clip, name, lane)) continue;
    const bool is_shot = one.job->request.clips[i].source.is_shot();
    const sharding::SegmentCut piece =
        is_shot ? sharding::SegmentCut{clip.probe->frames, "a shot, which one lane renders"} : cut(turn, *one.job, i, name, lane);
    turn.live().counters.segments_lengthened += !is_shot && frames_least(clip) > turn.state.rules.segment_frames_min ? 1U : 0U;
    net::Assigned fact = assignment(turn.durable().next_task, Attempt{1}, TaskKind::kSegment, one.name);
    fact.clip = i;
    fact.first = clip.frontier;
    fact.last = clip.frontier + piece.frames;
    fact.reason = piece.reason;
    assign(turn, name, &lane, std::move(fact));
    return true;
  }
  return false;
}

bool assign_noop(Turn& turn, const JobTurn& one, const LaneName& name, LaneLive& lane) {
  if (one.job->noop_next >= one.job->request.noop_tasks) return false;
  const TaskNumber number = one.job->first_task + static_cast<TaskNumber>(one.job->noop_next);
  assign(turn, name, &lane, assignment(number, Attempt{1}, TaskKind::kNoop, one.name));
  return true;
}

// One thing at most: what else it has room for comes with the next pass.
void assign_one(Turn& turn, const std::vector<JobTurn>& jobs, const LaneName& name, LaneLive& lane) {
  const LaneRoom room{takes_segment(turn, lane), takes_chore(turn, lane)};
  if (!room.segment && !room.chore) return;
  for (const JobTurn& one : jobs) {
    if (unusable_reason(turn, *one.job, name, lane)) continue;
    if (assign_waiting(turn, one, name, lane, room)) return;
    if (room.segment && assign_new_segment(turn, one, name, lane)) return;
    if (lane.idle() && assign_noop(turn, one, name, lane)) return;
  }
}

void assign_lanes(Turn& turn) {
  const std::vector<JobTurn> jobs = jobs_in_order(turn);
  if (jobs.empty()) return;
  for (const bool idle : {true, false}) {
    for (auto& [worker, session] : turn.live().workers) {
      for (auto& [id, lane] : session.lanes) {
        if (lane.idle() == idle) assign_one(turn, jobs, {worker, id}, lane);
      }
    }
  }
}

// A place that compiles for the class and is free; better one where the task has not failed, at a worker that compiles least.
std::optional<LaneName> free_builder(const Turn& turn, const net::CompileWanted& wanted, const TaskRecord& task) {
  std::optional<LaneName> best;
  std::pair<bool, std::size_t> rank_of_best;
  for (const auto& [name, session] : turn.live().workers) {
    for (const LaneId place : free_compile_places(turn, wanted, session)) {
      const std::pair rank{task.failed_on.contains({name, place}), session.compiles.size()};
      if (best && rank >= rank_of_best) continue;
      best = LaneName{name, place};
      rank_of_best = rank;
    }
  }
  return best;
}

void assign_compiles(Turn& turn) {
  for (const auto& [key, artifact] : turn.durable().artifacts) {
    if (artifact.state != ArtifactState::kWanted) continue;
    const TaskRecord* task = turn.task(artifact.wanted.task);
    if (task == nullptr || task->state != TaskState::kWaiting || turn.job(artifact.wanted.job) == nullptr) continue;
    const auto place = free_builder(turn, artifact.wanted, *task);
    if (!place) continue;
    turn.worker(place->worker)->compiles[place->lane] = {artifact.wanted.task, turn.now.at, 0};
    net::Assigned fact =
        assignment(artifact.wanted.task, next_attempt(turn, *task), TaskKind::kCompile, artifact.wanted.job);
    fact.reason = fmt::format("compiles for {}", artifact.wanted.kind.arch);
    const std::string& mode = artifact.wanted.settings.mode;
    if (mode != net::CompileSettings().mode) fact.reason += fmt::format(", mode {}", mode);
    assign(turn, *place, nullptr, std::move(fact));
  }
}

// An artifact that could not be made ends what insists on it.
void end_without_artifact(Turn& turn) {
  std::vector<std::pair<net::JobName, ArtifactRecord>> failed;
  for (const auto& [name, job] : turn.durable().jobs) {
    if (job.ended || job.request.executor != "compiled") continue;
    for (const ClipRecord& clip : job.clips) {
      if (!clip.plan || clip.result) continue;
      const auto found = turn.durable().artifacts.find(clip.plan->artifact_key);
      if (found == turn.durable().artifacts.end() || found->second.state != ArtifactState::kFailed) continue;
      failed.emplace_back(name, found->second);
      break;
    }
  }
  for (const auto& [name, artifact] : failed) {
    end_job(turn, name, net::JobState::kFailed, fmt::format("no artifact: {}", artifact.reason), artifact.exit);
  }
}

}  // namespace

void assign_due(Turn& turn) {
  end_without_artifact(turn);
  assign_compiles(turn);
  assign_lanes(turn);
}

}  // namespace kiln::coordinator
