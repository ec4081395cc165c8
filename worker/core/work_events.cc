// How the task of a lane gets on: fetched, run, stored, reported.
#include <fmt/core.h>

#include <algorithm>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

// The work that an event is about, if it is still at that phase; what comes later is counted and dropped.
SlotEntry* at_work(WorkerTurn& turn, TaskKey key, std::initializer_list<WorkPhase> phases) {
  SlotEntry* slot = turn.find_work(key);
  const bool fits = slot != nullptr && std::find(phases.begin(), phases.end(), slot->second.work->phase) != phases.end();
  if (!fits) ++turn.state.counters.late_messages;
  return fits ? slot : nullptr;
}

void report_failure(WorkerTurn& turn, SlotEntry& slot, net::BlobRef log) {
  Work& work = *slot.second.work;
  net::TaskFailed message{work.assign.task, work.assign.attempt, *work.fault, std::move(log)};
  slot.second.work.reset();
  report(turn, slot.first, std::move(message));
}

// The lane has ended a task that was called off: for good, or because of what is in `fault`.
void end_cancelled(WorkerTurn& turn, SlotEntry& slot) {
  if (!slot.second.work->fault) return drop_work(turn, slot);
  const net::TaskFault fault = *slot.second.work->fault;
  fail_work(turn, slot, fault);
}

bool try_again(WorkerTurn& turn, Work& work, const TransferFailed& event) {
  const WorkerRules& rules = turn.state.rules;
  if (!event.passing && !event.denied) return false;
  if (!work.transfer_failed_at) {
    work.transfer_failed_at = turn.now.at;
    work.retry_wait = rules.retry_first;
  }
  if (turn.now.at - *work.transfer_failed_at >= rules.transfer_patience) {
    ++turn.state.counters.transfers_given_up;
    return false;
  }
  ++turn.state.counters.transfers_again;
  work.retry_at = turn.now.at + work.retry_wait;
  work.retry_wait = std::min(work.retry_wait * 2, rules.retry_most);
  if (event.denied) turn.state.session.expires_unix_s = turn.now.unix_s;  // asks for new ones
  return true;
}

}  // namespace

void on_event(WorkerTurn& turn, const RunProgressed& event) {
  SlotEntry* slot = at_work(turn, {event.progress.task, event.progress.attempt}, {WorkPhase::kRunning});
  if (slot == nullptr) return;
  slot->second.heard_at = turn.now.at;
  Work& work = *slot->second.work;
  work.unsent = event.progress;
  if (turn.now.at - work.progress_at < turn.state.rules.progress_interval) return;
  work.progress_at = turn.now.at;
  turn.send(*work.unsent);
  work.unsent.reset();
}

void on_event(WorkerTurn& turn, const RunDone& event) {
  SlotEntry* slot = at_work(turn, event.key, {WorkPhase::kRunning, WorkPhase::kCancelling});
  if (slot == nullptr) return;
  slot->second.deaths_in_a_row = 0;
  slot->second.barren_deaths = 0;
  turn.state.any_work_done = true;
  Work& work = *slot->second.work;
  if (work.phase == WorkPhase::kCancelling) return end_cancelled(turn, *slot);
  work.phase = WorkPhase::kStoring;
  work.since = turn.now.at;
  turn.emit(Store{event.key, false});
}

void on_event(WorkerTurn& turn, const RunFailed& event) {
  SlotEntry* slot = at_work(turn, event.key, {WorkPhase::kRunning, WorkPhase::kCancelling});
  if (slot == nullptr) return;
  // A device that was out of memory may be wedged, and what a lane took it does not give back.
  const bool wedged = event.fault.kind == net::FailureKind::kOutOfMemory && !is_compile(slot->first);
  if (slot->second.work->phase == WorkPhase::kCancelling) {
    end_cancelled(turn, *slot);
  } else {
    fail_work(turn, *slot, event.fault);
  }
  if (wedged) restart_lane(turn, *slot, "it ran out of memory");
}

void on_event(WorkerTurn& turn, const ArtifactRefused& event) {
  SlotEntry* slot = at_work(turn, event.key, {WorkPhase::kRunning});
  if (slot == nullptr) return;
  const auto* segment = std::get_if<net::SegmentSpec>(&slot->second.work->assign.spec);
  if (segment == nullptr || segment->executor != "compiled") return;
  cancel_work(turn, *slot);
  slot->second.work->fault = net::TaskFault{net::FailureKind::kArtifactMismatch,
                                            std::string(to_string(ErrorCode::kDataLoss)), event.why, -1};
}

void on_event(WorkerTurn& turn, const Prepared& event) {
  SlotEntry* slot = at_work(turn, event.key, {WorkPhase::kPreparing});
  if (slot == nullptr) return;
  slot->second.work->phase = WorkPhase::kPrepared;
  slot->second.work->since = turn.now.at;
  slot->second.work->transfer_failed_at.reset();
}

void on_event(WorkerTurn& turn, const Stored& event) {
  SlotEntry* slot = at_work(turn, event.key, {WorkPhase::kStoring});
  if (slot == nullptr) return;
  if (slot->second.work->fault) return report_failure(turn, *slot, event.log);
  if (!event.result) return;
  slot->second.work.reset();
  report(turn, slot->first, net::TaskDone{event.key.task, event.key.attempt, *event.result, event.log});
}

void on_event(WorkerTurn& turn, const TransferFailed& event) {
  SlotEntry* slot = at_work(turn, event.key, {WorkPhase::kPreparing, WorkPhase::kStoring});
  if (slot == nullptr) return;
  Work& work = *slot->second.work;
  if (work.fault) return report_failure(turn, *slot, {});  // without its log: that is no reason to wait
  if (try_again(turn, work, event)) return;
  fail_work(turn, *slot, event.fault);
}

void keep_work(WorkerTurn& turn, SlotEntry& slot) {
  if (!slot.second.work) return;
  Work& work = *slot.second.work;
  if (work.retry_at && turn.now.at >= *work.retry_at) {
    work.retry_at.reset();
    if (work.phase == WorkPhase::kPreparing) turn.emit(Prepare{slot.first, work.assign});
    if (work.phase == WorkPhase::kStoring) turn.emit(Store{work.key(), work.fault.has_value()});
  }
  if (work.unsent && turn.now.at - work.progress_at >= turn.state.rules.progress_interval) {
    work.progress_at = turn.now.at;
    turn.send(*work.unsent);
    work.unsent.reset();
  }
  // A compile child that is told to stop is killed, so that its answer always comes.
  if (work.phase != WorkPhase::kCancelling || is_compile(slot.first)) return;
  if (turn.now.at - work.since < turn.state.rules.cancel_patience) return;
  ++turn.state.counters.lanes_stuck;
  end_cancelled(turn, slot);
  restart_lane(turn, slot, "it did not stop when its task was cancelled");
}

}  // namespace kiln::worker
