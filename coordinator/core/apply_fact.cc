// Facts into state. Nothing is decided here: a fact says what happened, and this is what it means.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/core/apply_parts.h"

namespace kiln::coordinator {

JobRecord* find_job(Durable& durable, const net::JobName& name) {
  const auto found = durable.jobs.find(name);
  return found == durable.jobs.end() ? nullptr : &found->second;
}

TaskRecord* find_task(Durable& durable, TaskNumber number) {
  const auto found = durable.tasks.find(number);
  return found == durable.tasks.end() ? nullptr : &found->second;
}

void put_state(Durable& durable, TaskNumber number, TaskRecord& task, TaskState state) {
  task.state = state;
  if (state == TaskState::kRunning) {
    durable.running.insert(number);
  } else {
    durable.running.erase(number);
  }
}

void wake_join(Durable& durable, JobRecord& job, const ClipRecord& clip) {
  if (!clip.plan || !clip.probe || clip.frames_done < clip.probe->frames) return;
  TaskRecord* join = find_task(durable, clip.plan->join_task);
  if (join != nullptr && join->state == TaskState::kWaiting) job.waiting.insert(clip.plan->join_task);
}

namespace {

using net::TaskKind;

void raise_next(Durable& durable, TaskNumber number) { durable.next_task = std::max(durable.next_task, number + 1); }

// A new task of a job; probes and no-ops are known by their numbers.
void add_to_job(JobRecord* job, TaskNumber number) {
  if (job == nullptr) return;
  const auto at = std::lower_bound(job->tasks.begin(), job->tasks.end(), number);
  if (at == job->tasks.end() || *at != number) job->tasks.insert(at, number);
}

void apply(Durable& durable, const net::JobAccepted& fact) {
  JobRecord job;
  job.request = fact.request;
  job.order = durable.next_order++;
  job.submitted_s = fact.at_s;
  job.paused = fact.request.paused;
  job.first_task = fact.first_task;
  TaskNumber next = fact.first_task;
  for (std::uint32_t i = 0; i < fact.request.clips.size(); ++i) {
    TaskRecord probe;
    probe.kind = TaskKind::kProbe;
    probe.job = fact.request.job;
    probe.clip = i;
    ClipRecord clip;
    clip.probe_task = next;
    job.clips.push_back(std::move(clip));
    job.waiting.insert(next);
    durable.tasks[next++] = std::move(probe);
  }
  next += static_cast<TaskNumber>(fact.request.noop_tasks);
  durable.next_task = std::max(durable.next_task, next);
  durable.jobs[fact.request.job] = std::move(job);
}

// An artifact that was there before any clip of the job asked for it.
bool is_store_hit(const Durable& durable, const JobRecord& job, const net::ClipPlanned& fact) {
  const auto artifact = durable.artifacts.find(fact.artifact_key);
  if (artifact == durable.artifacts.end() || artifact->second.state != ArtifactState::kReady) return false;
  return std::none_of(job.clips.begin(), job.clips.end(), [&](const ClipRecord& clip) {
    return clip.plan && clip.plan->artifact_key == fact.artifact_key;
  });
}

void apply(Durable& durable, const net::ClipPlanned& fact) {
  JobRecord* job = find_job(durable, fact.job);
  if (job == nullptr || fact.clip >= job->clips.size()) return;
  job->store_hits += is_store_hit(durable, *job, fact) ? 1U : 0U;
  job->clips[fact.clip].plan = fact;
  TaskRecord join;
  join.kind = TaskKind::kJoin;
  join.job = fact.job;
  join.clip = fact.clip;
  durable.tasks[fact.join_task] = std::move(join);
  add_to_job(job, fact.join_task);
  raise_next(durable, fact.join_task);
}

void apply(Durable& durable, const net::CompileWanted& fact) {
  TaskRecord task;
  task.kind = TaskKind::kCompile;
  task.job = fact.job;
  task.key = fact.key;
  durable.tasks[fact.task] = std::move(task);
  // It was there as far as anybody knew, and it was not.
  const auto known = durable.artifacts.find(fact.key);
  JobRecord* job = find_job(durable, fact.job);
  const bool was_hit = known != durable.artifacts.end() && known->second.state == ArtifactState::kReady;
  if (was_hit && job != nullptr && job->store_hits > 0) --job->store_hits;
  add_to_job(job, fact.task);
  durable.artifacts[fact.key] = ArtifactRecord{fact, ArtifactState::kWanted, {}};
  raise_next(durable, fact.task);
}

// A segment begins to exist with its first assignment, and so does a no-op task.
TaskRecord& assigned_task(Durable& durable, JobRecord* job, const net::Assigned& fact) {
  const auto [entry, is_new] = durable.tasks.try_emplace(fact.task);
  TaskRecord& task = entry->second;
  if (!is_new) return task;
  task.kind = fact.kind;
  task.job = fact.job;
  task.clip = fact.clip;
  task.first = fact.first;
  task.last = fact.last;
  raise_next(durable, fact.task);
  if (job == nullptr) return task;
  if (fact.kind != TaskKind::kNoop) add_to_job(job, fact.task);
  if (fact.kind == TaskKind::kSegment && fact.clip < job->clips.size()) {
    ClipRecord& clip = job->clips[fact.clip];
    clip.segments[fact.first] = fact.task;
    clip.frontier = std::max(clip.frontier, fact.last);
  }
  if (fact.kind == TaskKind::kNoop) ++job->noop_next;
  return task;
}

void apply(Durable& durable, const net::Assigned& fact) {
  JobRecord* job = find_job(durable, fact.job);
  TaskRecord& task = assigned_task(durable, job, fact);
  put_state(durable, fact.task, task, TaskState::kRunning);
  task.attempt = fact.attempt;
  task.lane = {fact.worker, fact.lane};
  if (fact.kind != TaskKind::kNoop) {
    if (task.attempts.size() >= kAttemptsKept) task.attempts.erase(task.attempts.begin());
    task.attempts.push_back({fact.attempt, task.lane, fact.at_s, 0.0, "running", {}});
  }
  if (job == nullptr || fact.kind == TaskKind::kCompile) return;
  job->waiting.erase(fact.task);
  job->running.insert(fact.task);
}

void cancel_tasks(Durable& durable, JobRecord& job) {
  for (auto* numbers : {&job.waiting, &job.running}) {
    for (const TaskNumber number : *numbers) {
      TaskRecord* task = find_task(durable, number);
      if (task != nullptr) put_state(durable, number, *task, TaskState::kCancelled);
    }
    numbers->clear();
  }
}

// What failed or was cancelled is tried anew, and nothing of what is done is done again.
void revive_tasks(Durable& durable, JobRecord& job) {
  visit_tasks(durable, job, [&](TaskNumber number, TaskRecord& task) {
    if (task.kind == TaskKind::kCompile) return;
    if (task.state != TaskState::kFailed && task.state != TaskState::kCancelled) return;
    task.state = TaskState::kWaiting;
    task.failures.clear();
    task.failed_on.clear();
    if (task.kind != TaskKind::kJoin) job.waiting.insert(number);
  });
  for (const ClipRecord& clip : job.clips) wake_join(durable, job, clip);
}

// What was compiled for it serves others.
void forget_job(Durable& durable, const net::JobName& name) {
  std::vector<TaskNumber> gone;
  visit_tasks(durable, durable.jobs.at(name), [&](TaskNumber number, const TaskRecord& task) {
    if (task.kind != TaskKind::kCompile) gone.push_back(number);
  });
  for (const TaskNumber number : gone) {
    durable.tasks.erase(number);
    durable.running.erase(number);
  }
  durable.jobs.erase(name);
}

void apply(Durable& durable, const net::JobControlled& fact) {
  JobRecord* job = find_job(durable, fact.job);
  if (job == nullptr) return;
  switch (fact.verb) {
    case net::JobVerb::kPause: job->paused = true; return;
    case net::JobVerb::kResume: job->paused = false; return;
    case net::JobVerb::kRemove: return forget_job(durable, fact.job);
    case net::JobVerb::kCancel:
      cancel_tasks(durable, *job);
      job->ended = net::JobState::kCancelled;
      job->ended_s = fact.at_s;
      return;
    case net::JobVerb::kRetry:
      job->ended.reset();
      job->ended_s = 0.0;
      job->reason.clear();
      job->exit = 0;
      return revive_tasks(durable, *job);
  }
}

void apply(Durable& durable, const net::JobEnded& fact) {
  JobRecord* job = find_job(durable, fact.job);
  if (job == nullptr) return;
  if (fact.state != net::JobState::kDone) cancel_tasks(durable, *job);
  job->ended = fact.state;
  job->ended_s = fact.at_s;
  job->reason = fact.reason;
  job->exit = fact.exit;
}

void apply(Durable& durable, const net::LaneSetAside& fact) {
  const LaneName lane{fact.worker, fact.lane};
  if (fact.on) {
    durable.set_aside[lane] = fact.why;
  } else {
    durable.set_aside.erase(lane);
  }
}

void apply(Durable& durable, const net::WorkerDrained& fact) {
  if (fact.on) {
    durable.draining.insert(fact.worker);
  } else {
    durable.draining.erase(fact.worker);
  }
}

void apply(Durable& durable, const net::EnvelopeLearned& fact) {
  std::uint64_t& least = durable.envelopes[{fact.kind, fact.graph_sha256, fact.height, fact.width}];
  least = std::max(least, fact.budget_bytes_min);
}

}  // namespace

void apply_fact(Durable& durable, const net::Fact& fact) {
  std::visit([&](const auto& body) { apply(durable, body); }, fact);
}

void apply_fact(Durable& durable, net::Fact&& fact) {
  std::visit([&](auto& body) { apply(durable, std::move(body)); }, fact);
}

}  // namespace kiln::coordinator
