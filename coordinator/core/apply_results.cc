// What results and failures of tasks make of the state.
#include <set>
#include <utility>

#include "coordinator/core/apply_parts.h"

namespace kiln::coordinator {
namespace {

using net::TaskKind;

void end_attempt(TaskRecord& task, Attempt attempt, double at_s, std::string outcome, net::BlobRef log) {
  for (AttemptRecord& record : task.attempts) {
    if (record.attempt != attempt) continue;
    record.end_s = at_s;
    record.outcome = std::move(outcome);
    record.log = std::move(log);
    return;
  }
}

void take(Durable&, JobRecord& job, const TaskRecord& task, net::ProbeResult&& result) {
  if (task.clip < job.clips.size()) job.clips[task.clip].probe = std::move(result);
}

void take(Durable& durable, JobRecord& job, const TaskRecord& task, net::SegmentResult&& taken) {
  if (task.clip >= job.clips.size()) return;
  ClipRecord& clip = job.clips[task.clip];
  const auto [entry, is_new] = clip.finished.try_emplace(task.first, std::move(taken));
  if (!is_new) return;
  const net::SegmentResult& result = entry->second;
  const std::int64_t frames = task.last - task.first;
  clip.frames_done += frames;
  net::LaneShare& share = job.shares[task.lane];
  share.worker = task.lane.worker;
  share.lane = task.lane.lane;
  ++share.segments;
  share.frames += frames;
  share.decode_s += result.decode_s;
  share.model_s += result.model_s;
  share.encode_s += result.encode_s;
  share.wait_decode_s += result.wait_decode_s;
  share.wait_encode_s += result.wait_encode_s;
  share.decode_core_s += result.decode_core_s;
  share.model_core_s += result.model_core_s;
  share.encode_core_s += result.encode_core_s;
  wake_join(durable, job, clip);
}

void take(Durable&, JobRecord& job, const TaskRecord& task, net::JoinResult&& result) {
  if (task.clip < job.clips.size()) job.clips[task.clip].result = std::move(result);
}

void take(Durable&, JobRecord& job, const TaskRecord&, net::NoopResult&&) { ++job.noop_done; }

void take(Durable& durable, JobRecord& job, const TaskRecord& task, net::CompileResult&& result) {
  const auto found = durable.artifacts.find(task.key);
  if (found != durable.artifacts.end()) found->second.state = ArtifactState::kReady;
  job.compiles += result.from_store ? 0U : 1U;
  job.store_hits += result.from_store ? 1U : 0U;
  job.compile_s += result.from_store ? 0.0 : result.compile_s;
}

// Frames of a join that are no more, or not as they were, are rendered again; the join waits for them.
void lose_segments(Durable& durable, JobRecord& job, const TaskRecord& join, const std::vector<std::string>& blobs) {
  if (blobs.empty() || join.kind != TaskKind::kJoin || join.clip >= job.clips.size()) return;
  ClipRecord& clip = job.clips[join.clip];
  const std::set<std::string> lost(blobs.begin(), blobs.end());
  for (auto entry = clip.finished.begin(); entry != clip.finished.end();) {
    const net::SegmentResult& result = entry->second;
    TaskRecord* task = find_task(durable, clip.segments[entry->first]);
    if (!lost.contains(result.segment.sha256) || task == nullptr) {
      ++entry;
      continue;
    }
    clip.frames_done -= result.last - result.first;
    task->state = TaskState::kWaiting;
    job.waiting.insert(clip.segments[entry->first]);
    if (clip.plan) job.waiting.erase(clip.plan->join_task);
    entry = clip.finished.erase(entry);
  }
}

bool is_lost_lane(net::FailureKind kind) {
  return kind == net::FailureKind::kLostLane || kind == net::FailureKind::kCrash || kind == net::FailureKind::kHang;
}

}  // namespace

int exit_code_of(const net::TaskFault& fault) {
  return exit_code(Error{error_code_from_string(fault.code), fault.message, static_cast<ExitCode>(fault.exit)});
}

void apply(Durable& durable, net::ResultAccepted fact) {
  TaskRecord* task = find_task(durable, fact.task);
  if (task == nullptr) return;
  put_state(durable, fact.task, *task, TaskState::kDone);
  end_attempt(*task, fact.attempt, fact.at_s, "done", std::move(fact.log));
  JobRecord* job = find_job(durable, task->job);
  if (job != nullptr) {
    job->running.erase(fact.task);
    job->waiting.erase(fact.task);
    std::visit([&](auto& result) { take(durable, *job, *task, std::move(result)); }, fact.result);
  } else if (const auto found = durable.artifacts.find(task->key); found != durable.artifacts.end()) {
    found->second.state = ArtifactState::kReady;  // the job is gone, what was compiled for it is not
  }
  if (task->kind == TaskKind::kNoop) durable.tasks.erase(fact.task);  // millions of them: nothing is told of each
}

void apply(Durable& durable, const net::AttemptEnded& fact) {
  TaskRecord* task = find_task(durable, fact.task);
  if (task == nullptr) return;
  ++task->failures[fact.fault.kind];
  if (fact.fault.kind != net::FailureKind::kLostLane) task->failed_on.insert(task->lane);
  task->last_message = fact.fault.message;
  put_state(durable, fact.task, *task, fact.final ? TaskState::kFailed : TaskState::kWaiting);
  end_attempt(*task, fact.attempt, fact.at_s, "failed: " + fact.fault.message, fact.log);
  JobRecord* job = find_job(durable, task->job);
  if (task->kind == TaskKind::kCompile) {
    const auto found = durable.artifacts.find(task->key);
    if (fact.final && found != durable.artifacts.end()) {
      found->second.state = ArtifactState::kFailed;
      found->second.reason = fact.fault.message;
      found->second.exit = exit_code_of(fact.fault);
    }
    return;
  }
  if (job == nullptr) return;
  if (is_lost_lane(fact.fault.kind)) job->lost_lanes.insert(task->lane);
  job->attempts_failed += fact.fault.kind == net::FailureKind::kLostLane ? 0U : 1U;
  job->running.erase(fact.task);
  if (!fact.final) job->waiting.insert(fact.task);
  if (!fact.final) lose_segments(durable, *job, *task, fact.fault.lost_blobs);
}

}  // namespace kiln::coordinator
