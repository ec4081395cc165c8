// What lanes say of their tasks. Whatever carries an older attempt is late: counted, dropped, and acknowledged so that
// the worker forgets it.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"
#include "coordinator/core/host_load.h"

namespace kiln::coordinator {
namespace {

using net::FailureKind;
using net::TaskKind;

bool is_running_attempt(const Turn& turn, const net::WorkerName& worker, TaskNumber number, Attempt attempt) {
  const TaskRecord* task = turn.task(number);
  if (task == nullptr || task->state != TaskState::kRunning) return false;
  if (turn.has_bug(SeededBug::kStaleAttemptAccepted)) return true;
  if (turn.has_bug(SeededBug::kLostFence) && task->kind == TaskKind::kCompile) return true;
  return task->attempt == attempt && task->lane.worker == worker;
}

// The kind of result that the task's kind gives; a worker that says otherwise is at fault.
bool fits(TaskKind kind, const net::TaskResult& result) {
  switch (kind) {
    case TaskKind::kProbe: return std::holds_alternative<net::ProbeResult>(result);
    case TaskKind::kCompile: return std::holds_alternative<net::CompileResult>(result);
    case TaskKind::kSegment: return std::holds_alternative<net::SegmentResult>(result);
    case TaskKind::kJoin: return std::holds_alternative<net::JoinResult>(result);
    case TaskKind::kNoop: return std::holds_alternative<net::NoopResult>(result);
  }
  return false;
}

std::optional<std::string> wrong_result(const Turn& turn, const TaskRecord& task, const net::TaskResult& result) {
  if (!fits(task.kind, result)) return "the result is of another kind of task";
  if (const auto* segment = std::get_if<net::SegmentResult>(&result)) {
    if (segment->first != task.first || segment->last != task.last) return "the result is of other frames";
  }
  const auto* join = std::get_if<net::JoinResult>(&result);
  const JobRecord* job = turn.job(task.job);
  if (join == nullptr || job == nullptr) return std::nullopt;
  const std::int64_t due = job->clips.at(task.clip).probe->frames;
  if (join->frames == due) return std::nullopt;
  return fmt::format("{} frames were joined, {} are due", join->frames, due);
}

void finish_if_all_done(Turn& turn, const net::JobName& name) {
  const JobRecord* job = turn.job(name);
  if (job == nullptr || job->ended) return;
  const bool clips = std::all_of(job->clips.begin(), job->clips.end(), [](const ClipRecord& clip) { return clip.result; });
  if (clips && job->noop_done >= job->request.noop_tasks) end_job(turn, name, net::JobState::kDone, {});
}

void announce_artifact(Turn& turn, const std::string& key) {
  for (const auto& [name, session] : turn.live().workers) turn.tell(name, net::ArtifactReady{key});
}

// For every job that renders with it, whoever's compile it was.
void keep_artifact(Turn& turn, const std::string& key) {
  for (const auto& [name, job] : turn.durable().jobs) {
    const bool uses = !job.ended && std::any_of(job.clips.begin(), job.clips.end(), [&](const ClipRecord& clip) {
      return clip.plan && clip.plan->artifact_key == key;
    });
    if (uses) turn.effects.emplace_back(needs_of(turn.durable(), name));
  }
}

// A lane on which several tasks failed in a row is set aside, unless what failed there failed everywhere. Of tasks that fail there
// in turns, since it has two, each has its own tries first: it may be the tasks, and their failure says more.
void count_against(Turn& turn, TaskNumber number, const LaneName& name, LaneLive& lane, const std::string& why) {
  const int failures = ++lane.failed_in_a_row[number];
  const int in_a_row = std::max(failures, static_cast<int>(lane.failed_in_a_row.size()));
  if (in_a_row < turn.state.rules.lane_failures_in_a_row) return;
  if (turn.durable().set_aside.contains(name)) return;
  turn.record(net::LaneSetAside{name.worker, name.lane, true, fmt::format("{} failures in a row, the last: {}", in_a_row, why)});
}

void blame_lane(Turn& turn, TaskNumber number, const LaneName& name, const net::TaskFault& fault) {
  LaneLive* lane = turn.lane(name);
  if (lane == nullptr) return;
  ++lane->failures;
  if (turn.state.rules.failures.at(fault.kind).blames_lane) count_against(turn, number, name, *lane, fault.message);
}

// Where one worker could not read a clip and another could, it was the first.
void blame_who_could_not_read(Turn& turn, TaskNumber number, const TaskRecord& task) {
  if (!task.failures.contains(FailureKind::kBadInput)) return;
  for (const LaneName& name : task.failed_on) {
    LaneLive* lane = turn.lane(name);
    if (lane == nullptr || name.worker == task.lane.worker) continue;
    count_against(turn, number, name, *lane, fmt::format("{} could read it, here: {}", task.lane.worker, task.last_message));
  }
}

void take_blame_back(Turn& turn, TaskNumber number, const TaskRecord& task) {
  if (task.failed_on.size() < 2) return;
  for (const LaneName& name : task.failed_on) {
    LaneLive* lane = turn.lane(name);
    if (lane != nullptr) lane->failed_in_a_row.erase(number);
  }
}

void learn_envelope(Turn& turn, const TaskRecord& task) {
  const JobRecord* job = turn.job(task.job);
  const LaneLive* lane = turn.lane(task.lane);
  if (job == nullptr || lane == nullptr || task.clip >= job->clips.size() || !job->clips[task.clip].plan) return;
  const net::TileChoice& tile = job->clips[task.clip].plan->tile;
  turn.record(net::EnvelopeLearned{lane->offer.kind, tile.graph_sha256, tile.height, tile.width,
                                   lane->offer.budget_bytes + 1});
}

// The store has it no more, or not as it was signed: it is made again. A segment that insists on it waits meanwhile, others
// run uncompiled.
void want_artifact_again(Turn& turn, const TaskRecord& task) {
  const JobRecord* job = turn.job(task.job);
  if (job == nullptr || task.clip >= job->clips.size() || !job->clips[task.clip].plan) return;
  const auto artifact = turn.durable().artifacts.find(job->clips[task.clip].plan->artifact_key);
  if (artifact == turn.durable().artifacts.end() || artifact->second.state != ArtifactState::kReady) return;
  int& losses = turn.live().artifact_losses[task.job][artifact->first];
  if (losses >= kArtifactLossesMax) {
    ++turn.live().counters.artifacts_given_up;
    return;
  }
  ++losses;
  ++turn.live().counters.artifacts_lost;
  net::CompileWanted wanted = artifact->second.wanted;
  wanted.task = turn.durable().next_task;
  wanted.job = task.job;
  turn.record(wanted);
}

// Several lanes tell of one loss, and some of them when it is mended.
bool was_made_again_since(const Turn& turn, TaskNumber number, const TaskRecord& task) {
  const auto losses = turn.live().artifact_losses.find(task.job);
  const JobRecord* job = turn.job(task.job);
  if (losses == turn.live().artifact_losses.end() || job == nullptr || !job->clips[task.clip].plan) return false;
  const auto artifact = turn.durable().artifacts.find(job->clips[task.clip].plan->artifact_key);
  return artifact != turn.durable().artifacts.end() && losses->second.contains(artifact->first) &&
         number < artifact->second.wanted.task;
}

// A clip that one worker cannot read may be at fault, or that worker: a folder that is not mounted there, a broken ffmpeg. Where
// another may take the task it is asked before the clip is blamed.
bool second_opinion_is_due(const Turn& turn, const TaskRecord& before) {
  const JobRecord* job = turn.job(before.job);
  TaskRecord task = before;
  task.failures[FailureKind::kBadInput] += 1;
  task.failed_on.insert(task.lane);
  const bool asked = std::any_of(task.failed_on.begin(), task.failed_on.end(),
                                 [&](const LaneName& name) { return name.worker != task.lane.worker; });
  return job != nullptr && !asked && task.kind != TaskKind::kCompile && other_lane_may_take(turn, *job, task);
}

bool is_final(const Turn& turn, const TaskRecord& task, FailureKind kind) {
  if (turn.has_bug(SeededBug::kRetryWithoutEnd)) return false;
  const auto counted = task.failures.find(kind);
  const int tries = 1 + (counted == task.failures.end() ? 0 : counted->second);
  const int allowed = task.kind == TaskKind::kCompile && kind != FailureKind::kLostLane
                          ? turn.state.rules.compile_attempts
                          : turn.state.rules.failures.at(kind).attempts;
  const int in_doubt = kind == FailureKind::kBadInput ? static_cast<int>(turn.state.rules.lanes_per_task) - 1 : 0;
  if (tries >= allowed) return tries >= allowed + in_doubt || !second_opinion_is_due(turn, task);
  if (kind == FailureKind::kLostLane) return false;
  auto lanes = task.failed_on;
  lanes.insert(task.lane);
  return lanes.size() >= turn.state.rules.lanes_per_task;
}

// A result that is told again since its acknowledgement was lost is none that was dropped.
void count_dropped(Turn& turn, const net::TaskDone& message) {
  const TaskRecord* task = turn.task(message.task);
  if (task == nullptr || (task->state == TaskState::kDone && task->attempt == message.attempt)) return;
  if (turn.job(task->job) != nullptr) ++turn.live().results_dropped[task->job];
}

}  // namespace

std::string speed_key(const net::ClipPlanned& plan) {
  return fmt::format("{}:{}x{}:{}", plan.tile.graph_sha256, plan.tile.width, plan.tile.height,
                     plan.artifact_key.empty() ? "uncompiled" : "compiled");
}

void on_task_done(Turn& turn, const net::WorkerName& worker, const net::TaskDone& message) {
  if (!is_running_attempt(turn, worker, message.task, message.attempt)) {
    ++turn.live().counters.late_messages;
    count_dropped(turn, message);
    return turn.tell(worker, net::ResultTaken{message.task, message.attempt});
  }
  const TaskRecord task = *turn.task(message.task);
  if (const auto wrong = wrong_result(turn, task, message.result)) {
    return on_task_failed(turn, worker, {message.task, message.attempt, {FailureKind::kError, "internal", *wrong, -1},
                                         message.log});
  }
  if (turn.has_bug(SeededBug::kAcknowledgeBeforeJournal)) turn.tell(worker, net::ResultTaken{message.task, message.attempt});
  turn.live().orphans.erase(message.task);
  ++turn.live().counters.results;
  turn.record(net::ResultAccepted{message.task, message.attempt, message.result, message.log, turn.now.unix_s});
  if (!turn.has_bug(SeededBug::kAcknowledgeBeforeJournal)) turn.tell(worker, net::ResultTaken{message.task, message.attempt});
  if (const auto* segment = std::get_if<net::SegmentResult>(&message.result)) {
    learn_speed(turn, task, *segment);
    if (segment->artifact_lost && !was_made_again_since(turn, message.task, task)) want_artifact_again(turn, task);
  }
  if (LaneLive* lane = turn.lane(task.lane); lane != nullptr) lane->failed_in_a_row.clear();
  blame_who_could_not_read(turn, message.task, task);
  release_lane(turn, task.lane, message.task);
  if (task.kind == TaskKind::kCompile) {
    announce_artifact(turn, task.key);
    keep_artifact(turn, task.key);
  }
  if (turn.job(task.job) != nullptr) turn.changed(task.job);
  if (task.kind == TaskKind::kJoin || task.kind == TaskKind::kNoop) finish_if_all_done(turn, task.job);
  if (task.kind == TaskKind::kJoin) turn.effects.emplace_back(needs_of(turn.durable(), task.job));
}

void on_task_failed(Turn& turn, const net::WorkerName& worker, const net::TaskFailed& message) {
  if (!is_running_attempt(turn, worker, message.task, message.attempt)) {
    ++turn.live().counters.late_messages;
    return turn.tell(worker, net::ResultTaken{message.task, message.attempt});
  }
  const LaneName lane = turn.task(message.task)->lane;
  turn.live().orphans.erase(message.task);
  end_attempt(turn, message.task, message.fault, message.log);
  turn.tell(worker, net::ResultTaken{message.task, message.attempt});
  release_lane(turn, lane, message.task);
}

void on_progress(Turn& turn, const net::WorkerName& worker, const net::TaskProgress& message) {
  if (!is_running_attempt(turn, worker, message.task, message.attempt)) {
    ++turn.live().counters.late_messages;
    return;
  }
  const TaskRecord& task = *turn.task(message.task);
  LaneLive* lane = turn.lane(task.lane);
  LaneTask* on_lane = lane == nullptr ? nullptr : lane->find(message.task);
  if (on_lane == nullptr) return;
  on_lane->frames_done = message.frames_done;
  on_lane->stage = message.stage;
  const bool dirty = turn.live().dirty;
  turn.changed(task.job);
  turn.live().dirty = dirty || takes_segment(turn, *lane);  // else progress makes nothing assignable
}

void end_attempt(Turn& turn, TaskNumber number, const net::TaskFault& fault, const net::BlobRef& log) {
  const TaskRecord before = *turn.task(number);
  ++turn.live().counters.failures[fault.kind];
  const bool final = is_final(turn, before, fault.kind);
  turn.record(net::AttemptEnded{number, before.attempt, fault, log, final, turn.now.unix_s});
  if (fault.kind == FailureKind::kOutOfMemory && before.kind == TaskKind::kSegment) learn_envelope(turn, before);
  if (fault.kind == FailureKind::kArtifactMismatch && before.kind == TaskKind::kSegment && !final) {
    want_artifact_again(turn, before);
  }
  // What the store lost is no lane's fault.
  if (before.kind != TaskKind::kCompile && fault.lost_blobs.empty()) blame_lane(turn, number, before.lane, fault);
  if (turn.job(before.job) != nullptr) turn.changed(before.job);
  turn.live().dirty = true;
  if (!final) return;
  take_blame_back(turn, number, *turn.task(number));
  if (before.kind == TaskKind::kCompile) {
    for (const auto& [name, job] : turn.durable().jobs) {
      if (!job.ended) turn.changed(name);
    }
    return;
  }
  end_job(turn, before.job, net::JobState::kFailed, fault.message, exit_code_of(fault));
}

}  // namespace kiln::coordinator
