#include "coordinator/core/farm_step.h"

#include <algorithm>

#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator {

void Turn::record(net::Fact fact) {
  apply_fact(state.durable, fact);
  effects.emplace_back(Record{std::move(fact)});
}

void Turn::tell(const net::WorkerName& name, net::ToWorker message) {
  const WorkerSession* session = worker(name);
  if (session == nullptr || !session->connected) return;
  effects.emplace_back(Tell{session->connection, std::move(message)});
}

void Turn::changed(const net::JobName& name) {
  ++state.live.changes;
  if (job(name) != nullptr) state.live.revisions[name] = state.live.changes;
  state.live.changed.insert(name);
  state.live.dirty = true;
}

std::uint64_t Turn::revision(const net::JobName& name) const {
  const auto found = state.live.revisions.find(name);
  return found == state.live.revisions.end() ? 0 : found->second;
}

TaskRecord* Turn::task(TaskNumber number) const {
  const auto found = state.durable.tasks.find(number);
  return found == state.durable.tasks.end() ? nullptr : &found->second;
}

JobRecord* Turn::job(const net::JobName& name) const {
  const auto found = state.durable.jobs.find(name);
  return found == state.durable.jobs.end() ? nullptr : &found->second;
}

WorkerSession* Turn::worker(const net::WorkerName& name) const {
  const auto found = state.live.workers.find(name);
  return found == state.live.workers.end() ? nullptr : &found->second;
}

LaneLive* Turn::lane(const LaneName& name) const {
  WorkerSession* session = worker(name.worker);
  if (session == nullptr) return nullptr;
  const auto found = session->lanes.find(name.lane);
  return found == session->lanes.end() ? nullptr : &found->second;
}

namespace {

template <typename Tasks>
auto* find_in(Tasks& tasks, TaskNumber number) {
  const auto found = std::find_if(tasks.begin(), tasks.end(), [&](const LaneTask& task) { return task.number == number; });
  return found == tasks.end() ? nullptr : &*found;
}

}  // namespace

LaneTask* LaneLive::find(TaskNumber number) { return find_in(tasks, number); }
const LaneTask* LaneLive::find(TaskNumber number) const { return find_in(tasks, number); }

namespace {

bool is_ready(const Durable& durable, const std::string& key) {
  const auto found = durable.artifacts.find(key);
  return found != durable.artifacts.end() && found->second.state == ArtifactState::kReady;
}

// An artifact that was there before is a job's from the first plan on that names it.
void keep_known_artifacts(Turn& turn) {
  std::set<net::JobName> jobs;
  for (const FarmEffect& effect : turn.effects) {
    const auto* record = std::get_if<Record>(&effect);
    const auto* plan = record == nullptr ? nullptr : std::get_if<net::ClipPlanned>(&record->fact);
    if (plan == nullptr || !is_ready(turn.durable(), plan->artifact_key)) continue;
    const auto& clips = turn.job(plan->job)->clips;
    const bool known = std::any_of(clips.begin(), clips.begin() + plan->clip, [&](const ClipRecord& clip) {
      return clip.plan && clip.plan->artifact_key == plan->artifact_key;
    });
    if (!known) jobs.insert(plan->job);
  }
  for (const net::JobName& job : jobs) turn.effects.emplace_back(needs_of(turn.durable(), job));
}

}  // namespace

std::vector<FarmEffect> step(FarmState& state, const FarmEvent& event, Moment now) {
  Turn turn{state, now};
  if (const auto* asked = std::get_if<ClientAsked>(&event)) {
    on_client(turn, *asked);
  } else if (const auto* said = std::get_if<WorkerSaid>(&event)) {
    on_worker(turn, said->connection, said->body);
  } else {
    lose_silent_workers(turn);
    lose_orphans(turn);
    if (state.live.dirty) {
      state.live.dirty = false;
      plan_clips(turn);
      keep_known_artifacts(turn);
      assign_due(turn);
    }
    answer_waiters(turn);
  }
  return std::move(turn.effects);
}

void begin_after_replay(FarmState& state, Moment now) {
  state.live = Live{};
  state.live.started_at = now.at;
  state.live.dirty = true;
  for (const TaskNumber number : state.durable.running) state.live.orphans[number] = now.at + state.rules.orphan_grace;
  if (state.rules.bug != SeededBug::kForgottenSegmentAfterRestart) return;
  for (auto& [name, job] : state.durable.jobs) {
    std::erase_if(job.waiting, [&](TaskNumber number) {
      return state.durable.tasks.at(number).kind == net::TaskKind::kSegment;
    });
  }
}

KeepBlobs needs_of(const Durable& durable, const net::JobName& name) {
  const auto found = durable.jobs.find(name);
  if (found == durable.jobs.end()) return {name, {}};
  const JobRecord& job = found->second;
  std::set<std::string> out;
  std::set<std::string> artifacts;
  const auto add = [&](const net::BlobRef& blob) {
    if (!blob.sha256.empty()) out.insert(blob.sha256);
  };
  for (const net::PackageFile& file : job.request.package.files) {
    if (file.place.empty()) add(file.blob);
  }
  for (std::size_t i = 0; i < job.clips.size(); ++i) {
    const ClipRecord& clip = job.clips[i];
    if (!job.request.clips[i].source.in_place) add(job.request.clips[i].source.blob);
    if (clip.probe) add(clip.probe->description);
    if (clip.result) add(clip.result->output);
    if (clip.result) continue;  // its segments are in it
    for (const auto& [first, segment] : clip.finished) add(segment.segment);
    if (!job.ended && clip.plan && is_ready(durable, clip.plan->artifact_key)) artifacts.insert(clip.plan->artifact_key);
  }
  visit_tasks(durable, job, [&](TaskNumber, const TaskRecord& task) {
    for (const AttemptRecord& attempt : task.attempts) add(attempt.log);
  });
  const bool done = job.ended == net::JobState::kDone;  // others may be tried again
  return {name, {out.begin(), out.end()}, {artifacts.begin(), artifacts.end()}, done};
}

}  // namespace kiln::coordinator
