// Assignments and cancellations. A lane may have several tasks: what comes while it is busy is fetched at once and begun as soon
// as it can be. A task that the coordinator gave up, and whose cancellation was lost, is cancelled after the next heartbeat.
// Nothing is dropped without a word: a task that is not done here is reported as lost, so that a coordinator which still
// believes in it tries it elsewhere.
#include <fmt/core.h>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

net::TaskFailed failed(TaskKey key, net::TaskFault fault) { return {key.task, key.attempt, std::move(fault), {}}; }

TaskKey key_of_report(const net::FromWorker& message) {
  if (const auto* done = std::get_if<net::TaskDone>(&message)) return {done->task, done->attempt};
  const auto& failed = std::get<net::TaskFailed>(message);
  return {failed.task, failed.attempt};
}

// Says no, and nothing more: the coordinator drops it when it knows better.
void turn_down(WorkerTurn& turn, LaneId slot, TaskKey key, std::string why) {
  report(turn, slot, failed(key, lost_lane(std::move(why))));
}

// Another attempt of the same task, wherever it is at work: only the later one counts.
bool give_way_to_later_attempt(WorkerTurn& turn, const net::Assign& assign) {
  for (SlotEntry& slot : turn.state.slots) {
    for (const TaskKey& key : keys_of(slot.second)) {
      if (key.task != assign.task) continue;
      if (key.attempt > assign.attempt) return false;
      ++turn.state.counters.superseded;
      if (Work* work = slot.second.find(key); work != nullptr) cancel_work(turn, slot, *work);
    }
  }
  return true;
}

// True: it is known here, and there is nothing to begin.
bool is_known(WorkerTurn& turn, const net::Assign& assign) {
  const TaskKey key = key_of(assign);
  if (const auto report = turn.state.reports.find(key); report != turn.state.reports.end()) {
    turn.send(report->second.message);
    return true;
  }
  if (turn.find_work(key).work != nullptr) return true;
  if (!turn.state.ended.contains(key)) return false;
  turn.send(failed(key, lost_lane("it has ended here already")));
  return true;
}

std::optional<std::string> why_not(const WorkerTurn& turn, LaneId id) {
  const Slot* slot = turn.slot(id);
  if (slot == nullptr) return fmt::format("there is no lane {} here", id.value);
  if (turn.state.stopping()) return std::string("its worker is ending");
  if (slot->status == SlotStatus::kDown) return fmt::format("lane {} does not stay up: {}", id.value, slot->why_down);
  return std::nullopt;
}

}  // namespace

void remember_ended(WorkerTurn& turn, TaskKey key) {
  WorkerState& state = turn.state;
  if (!state.ended.insert(key).second) return;
  state.ended_in_order.push_back(key);
  if (state.ended_in_order.size() <= kEndedTasksKept) return;
  ++state.counters.ended_forgotten;
  state.ended.erase(state.ended_in_order.front());
  state.ended_in_order.pop_front();
}

void report(WorkerTurn& turn, LaneId slot, net::FromWorker message) {
  WorkerState& state = turn.state;
  ++(std::holds_alternative<net::TaskDone>(message) ? state.counters.results : state.counters.failures);
  if (const auto* failure = std::get_if<net::TaskFailed>(&message)) ++state.counters.failed[failure->fault.kind];
  turn.send(message);
  const TaskKey key = key_of_report(message);  // what stands right of the '=' comes first, and takes the message away
  state.reports[key] = Report{std::move(message), slot, turn.now.at};
}

std::vector<TaskKey> keys_of(const Slot& slot) {
  std::vector<TaskKey> out;
  for (const Work& work : slot.works) out.push_back(work.key());
  return out;
}

void end_work(Slot& slot, TaskKey key) {
  slot.works.remove_if([&](const Work& work) { return work.key() == key; });
}

void drop_work(WorkerTurn& turn, SlotEntry& slot, Work& work) {
  const TaskKey key = work.key();
  turn.emit(Drop{key});
  end_work(slot.second, key);
  remember_ended(turn, key);
}

void fail_work(WorkerTurn& turn, SlotEntry& slot, Work& work, net::TaskFault fault) {
  if (fault.kind == net::FailureKind::kLostLane) {  // there is no log that would say more
    const TaskKey key = work.key();
    turn.emit(Drop{key});
    end_work(slot.second, key);
    return report(turn, slot.first, failed(key, std::move(fault)));
  }
  work.fault = std::move(fault);
  work.phase = WorkPhase::kStoring;
  work.since = turn.now.at;
  work.retry_at.reset();
  work.transfer_failed_at.reset();
  turn.emit(Store{work.key(), true});
}

// For good, or because of what is in `fault`.
void end_cancelled(WorkerTurn& turn, SlotEntry& slot, Work& work) {
  if (!work.fault) return drop_work(turn, slot, work);
  const net::TaskFault fault = *work.fault;
  fail_work(turn, slot, work, fault);
}

void cancel_work(WorkerTurn& turn, SlotEntry& slot, Work& work) {
  if (work.phase == WorkPhase::kCancelling) {
    work.fault.reset();
    return;
  }
  if (work.phase != WorkPhase::kRunning) return drop_work(turn, slot, work);
  const bool stops_when_told = std::holds_alternative<net::SegmentSpec>(work.assign.spec) || is_compile(slot.first);
  if (!stops_when_told) {  // a probe or a join hears nothing meanwhile
    drop_work(turn, slot, work);
    return restart_lane(turn, slot, "its task was cancelled");
  }
  work.phase = WorkPhase::kCancelling;
  work.since = turn.now.at;
  turn.emit(CancelRun{slot.first, work.key()});
}

void begin_work(WorkerTurn& turn, SlotEntry& slot, net::Assign assign) {
  if (const auto reason = why_not(turn, slot.first)) return turn_down(turn, slot.first, key_of(assign), *reason);
  if (std::holds_alternative<net::NoopSpec>(assign.spec)) {
    return report(turn, slot.first, net::TaskDone{assign.task, assign.attempt, net::NoopResult{}, {}});
  }
  Work work;
  work.assign = std::move(assign);
  work.since = turn.now.at;
  turn.emit(Prepare{slot.first, work.assign});
  slot.second.works.push_back(std::move(work));
}

void on_assign(WorkerTurn& turn, const net::Assign& assign) {
  ++turn.state.counters.assignments;
  if (is_known(turn, assign)) {
    ++turn.state.counters.late_messages;
    return;
  }
  const bool compiles = std::holds_alternative<net::CompileSpec>(assign.spec);
  const LaneId id = compiles && !is_compile(assign.lane) ? kCompileSlot : assign.lane;
  const bool holds_for_goodbye = turn.state.stopping() && is_compile(id);  // else it would come back at once
  if (holds_for_goodbye) return;
  if (const auto reason = why_not(turn, id)) {
    if (turn.state.stopping()) send_heartbeat(turn);  // it has not heard that we leave
    turn_down(turn, id, key_of(assign), *reason);
    if (Slot* slot = turn.slot(id); slot != nullptr && !is_compile(id)) slot->announced = true;  // say again that it is not
    return;
  }
  if (!give_way_to_later_attempt(turn, assign)) {
    ++turn.state.counters.late_messages;
    return turn_down(turn, id, key_of(assign), "a later attempt is at work");
  }
  SlotEntry& slot = *turn.state.slots.find(id);
  if (slot.second.works.size() >= kTasksPerSlotMax) {
    ++turn.state.counters.turned_down_full;
    return turn_down(turn, id, key_of(assign), fmt::format("its lane has {} tasks already", kTasksPerSlotMax));
  }
  begin_work(turn, slot, assign);
}

void on_cancel(WorkerTurn& turn, TaskKey key) {
  turn.state.reports.erase(key);
  if (const auto [slot, work] = turn.find_work(key); work != nullptr) return cancel_work(turn, *slot, *work);
  remember_ended(turn, key);
}

void on_artifact_ready(WorkerTurn& turn, const std::string& artifact) {
  for (SlotEntry& slot : turn.state.slots) {
    for (Work& work : slot.second.works) {
      auto* segment = std::get_if<net::SegmentSpec>(&work.assign.spec);
      if (segment == nullptr || segment->artifact_key != artifact || segment->executor == "uncompiled") continue;
      if (std::exchange(segment->artifact_ready, true)) continue;
      if (work.phase == WorkPhase::kRunning) turn.emit(OfferArtifact{slot.first, work.key(), artifact});
    }
  }
}

}  // namespace kiln::worker
