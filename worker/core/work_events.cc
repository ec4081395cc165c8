// How the task of a lane gets on: fetched, run, stored, reported.
#include <fmt/core.h>

#include <algorithm>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

// The work that an event is about, if it is still at that phase; what comes later is counted and dropped.
WorkPlace at_work(WorkerTurn& turn, TaskKey key, std::initializer_list<WorkPhase> phases) {
  const WorkPlace place = turn.find_work(key);
  const bool fits = place.work != nullptr && std::find(phases.begin(), phases.end(), place.work->phase) != phases.end();
  if (!fits) ++turn.state.counters.late_messages;
  return fits ? place : WorkPlace{};
}

void report_failure(WorkerTurn& turn, const WorkPlace& at, net::BlobRef log) {
  net::TaskFailed message{at.work->assign.task, at.work->assign.attempt, *at.work->fault, std::move(log)};
  end_work(at.slot->second, at.work->key());
  report(turn, at.slot->first, std::move(message));
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
  const auto [slot, work] = at_work(turn, {event.progress.task, event.progress.attempt}, {WorkPhase::kRunning});
  if (work == nullptr) return;
  slot->second.heard_at = turn.now.at;
  work->unsent = event.progress;
  if (turn.now.at - work->progress_at < turn.state.rules.progress_interval) return;
  work->progress_at = turn.now.at;
  turn.send(*work->unsent);
  work->unsent.reset();
}

void on_event(WorkerTurn& turn, const RunDone& event) {
  const auto [slot, work] = at_work(turn, event.key, {WorkPhase::kRunning, WorkPhase::kCancelling});
  if (work == nullptr) return;
  if (is_compile(slot->first)) compile_ended(turn, slot->first, event.memory);
  slot->second.deaths_in_a_row = 0;
  slot->second.barren_deaths = 0;
  turn.state.any_work_done = true;
  if (work->phase == WorkPhase::kCancelling) return end_cancelled(turn, *slot, *work);
  work->phase = WorkPhase::kStoring;
  work->since = turn.now.at;
  turn.emit(Store{event.key, false});
}

void on_event(WorkerTurn& turn, const RunFailed& event) {
  const auto [slot, work] = at_work(turn, event.key, {WorkPhase::kRunning, WorkPhase::kCancelling});
  if (work == nullptr) return;
  if (is_compile(slot->first)) compile_ended(turn, slot->first, {});
  // A device that was out of memory may be wedged, and what a lane took it does not give back.
  const bool wedged = event.fault.kind == net::FailureKind::kOutOfMemory && !is_compile(slot->first);
  if (work->phase == WorkPhase::kCancelling) {
    end_cancelled(turn, *slot, *work);
  } else {
    fail_work(turn, *slot, *work, event.fault);
  }
  if (wedged) restart_lane(turn, *slot, "it ran out of memory");
}

void on_event(WorkerTurn& turn, const ArtifactRefused& event) {
  const auto [slot, work] = at_work(turn, event.key, {WorkPhase::kRunning});
  if (work == nullptr) return;
  const auto* segment = std::get_if<net::SegmentSpec>(&work->assign.spec);
  if (segment == nullptr || segment->executor != "compiled") return;
  cancel_work(turn, *slot, *work);
  work->fault = net::TaskFault{net::FailureKind::kArtifactMismatch, std::string(to_string(ErrorCode::kDataLoss)), event.why,
                               -1};
}

void on_event(WorkerTurn& turn, const Prepared& event) {
  const auto [slot, work] = at_work(turn, event.key, {WorkPhase::kPreparing});
  if (work == nullptr) return;
  work->phase = WorkPhase::kPrepared;
  work->found = event.found;
  work->since = turn.now.at;
  work->transfer_failed_at.reset();
}

void on_event(WorkerTurn& turn, const Stored& event) {
  const WorkPlace at = at_work(turn, event.key, {WorkPhase::kStoring});
  if (at.work == nullptr) return;
  if (at.work->fault) return report_failure(turn, at, event.log);
  if (!event.result) return;
  end_work(at.slot->second, event.key);
  report(turn, at.slot->first, net::TaskDone{event.key.task, event.key.attempt, *event.result, event.log});
}

void on_event(WorkerTurn& turn, const TransferFailed& event) {
  const WorkPlace at = at_work(turn, event.key, {WorkPhase::kPreparing, WorkPhase::kStoring});
  if (at.work == nullptr) return;
  if (at.work->fault) return report_failure(turn, at, {});  // without its log: that is no reason to wait
  if (try_again(turn, *at.work, event)) return;
  fail_work(turn, *at.slot, *at.work, event.fault);
}

namespace {

void keep_one(WorkerTurn& turn, SlotEntry& slot, Work& work) {
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
  restart_lane(turn, slot, "it did not stop when its task was cancelled");
}

}  // namespace

void keep_work(WorkerTurn& turn, SlotEntry& slot) {
  for (const TaskKey& key : keys_of(slot.second)) {
    if (Work* work = slot.second.find(key); work != nullptr) keep_one(turn, slot, *work);
  }
}

}  // namespace kiln::worker
