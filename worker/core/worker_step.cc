#include "worker/core/worker_step.h"

#include <fmt/core.h>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

template <typename Event>
constexpr bool kIsHandledBelow = requires(WorkerTurn& turn, const Event& event) { on_event(turn, event); };

void dispatch(WorkerTurn& turn, const LinkUp&) { greet(turn); }
void dispatch(WorkerTurn& turn, const LinkDown&) { turn.state.session.state = SessionState::kAway; }
void dispatch(WorkerTurn& turn, const CoordinatorSaid& said) { on_coordinator(turn, said.message); }

void dispatch(WorkerTurn& turn, const StopAsked&) {
  WorkerState& state = turn.state;
  if (++state.signals_heard > 1) {
    state.over = true;
    return turn.emit(Leave{make_error(ErrorCode::kCancelled, "ended before its tasks were done")});
  }
  begin_stopping(turn, "ending: what is being rendered is finished first (once more to end now)");
}

void dispatch(WorkerTurn& turn, const Tick& tick) {
  for (SlotEntry& slot : turn.state.slots) {
    if (!is_compile(slot.first)) keep_lane(turn, slot);
    keep_work(turn, slot);
  }
  keep_session(turn, tick.memory_available_bytes);
}

template <typename Event>
  requires kIsHandledBelow<Event>
void dispatch(WorkerTurn& turn, const Event& event) {
  on_event(turn, event);
}

std::optional<std::string> broken_slot(LaneId id, const Slot& slot, std::set<TaskKey>& seen) {
  if (slot.next && !slot.work) return fmt::format("slot {} is idle and has a task that waits", id.value);
  if (slot.work && slot.work->phase == WorkPhase::kRunning && slot.status != SlotStatus::kUp) {
    return fmt::format("slot {} is not up and runs a task", id.value);
  }
  for (const net::Assign* assign : {slot.work ? &slot.work->assign : nullptr, slot.next ? &*slot.next : nullptr}) {
    if (assign == nullptr) continue;
    if (!seen.insert(key_of(*assign)).second) return fmt::format("task {} is here twice", assign->task);
    if (std::holds_alternative<net::CompileSpec>(assign->spec) != is_compile(id)) {
      return fmt::format("task {} is in a slot of another kind", assign->task);
    }
  }
  return std::nullopt;
}

}  // namespace

void WorkerTurn::send(net::FromWorker message) {
  if (welcomed()) emit(Send{std::move(message)});
}

Slot* WorkerTurn::slot(LaneId id) const {
  const auto found = state.slots.find(id);
  return found == state.slots.end() ? nullptr : &found->second;
}

SlotEntry* WorkerTurn::find_work(TaskKey key) const {
  for (SlotEntry& slot : state.slots) {
    if (slot.second.work && slot.second.work->key() == key) return &slot;
  }
  return nullptr;
}

void begin_stopping(WorkerTurn& turn, std::string why) {
  if (std::exchange(turn.state.stops, true)) return;
  turn.emit(Say{std::move(why)});
  for (SlotEntry& slot : turn.state.slots) {
    const std::optional<Work>& work = slot.second.work;
    const bool begun = work && work->phase != WorkPhase::kPreparing && work->phase != WorkPhase::kPrepared;
    if (work && !begun) fail_work(turn, slot, lost_lane("its worker is ending"));
  }
}

net::TaskFault lost_lane(std::string why) {
  return {net::FailureKind::kLostLane, std::string(to_string(ErrorCode::kUnavailable)), std::move(why), -1};
}

std::vector<WorkerEffect> begin_worker(WorkerState& state, net::WorkerHello identity, WorkerMoment now) {
  state.identity = std::move(identity);
  WorkerTurn turn{state, now};
  for (const net::LaneOffer& offer : state.identity.lanes) state.slots[offer.lane].offer = offer;
  for (SlotEntry& slot : state.slots) start_lane(turn, slot);
  state.slots[kCompileSlot].status = SlotStatus::kUp;
  return std::move(turn.effects);
}

std::vector<WorkerEffect> step(WorkerState& state, const WorkerEvent& event, WorkerMoment now) {
  WorkerTurn turn{state, now};
  if (state.over) return {};
  std::visit([&](const auto& body) { dispatch(turn, body); }, event);
  if (state.over) return std::move(turn.effects);
  for (SlotEntry& slot : state.slots) settle_slot(turn, slot);
  leave_when_done(turn);
  return std::move(turn.effects);
}

std::string broken_invariant(const WorkerState& state) {
  std::set<TaskKey> seen;
  for (const auto& [id, slot] : state.slots) {
    if (const auto broken = broken_slot(id, slot, seen)) return *broken;
  }
  for (const auto& [key, report] : state.reports) {
    if (!seen.insert(key).second) return fmt::format("task {} is reported and at work", key.task);
  }
  for (const TaskKey& key : state.ended) {
    if (seen.contains(key)) return fmt::format("task {} is over and still here", key.task);
  }
  if (state.ended.size() != state.ended_in_order.size() || state.ended.size() > kEndedTasksKept) {
    return "what is kept of ended tasks does not fit together";
  }
  return {};
}

}  // namespace kiln::worker
