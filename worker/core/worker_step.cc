#include "worker/core/worker_step.h"

#include <fmt/core.h>

#include <algorithm>

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
    is_compile(slot.first) ? keep_turn(turn, slot) : keep_lane(turn, slot);
    keep_work(turn, slot);
  }
  turn.state.memory_available_bytes = tick.memory_available_bytes;
  keep_session(turn);
}

template <typename Event>
  requires kIsHandledBelow<Event>
void dispatch(WorkerTurn& turn, const Event& event) {
  on_event(turn, event);
}

std::optional<std::string> broken_work(LaneId id, const Slot& slot, const Work& work, std::set<TaskKey>& seen) {
  if (work.on_lane() && slot.status != SlotStatus::kUp) return fmt::format("slot {} is not up and runs a task", id.value);
  if (!seen.insert(work.key()).second) return fmt::format("task {} is here twice", work.assign.task);
  if (std::holds_alternative<net::CompileSpec>(work.assign.spec) != is_compile(id)) {
    return fmt::format("task {} is in a slot of another kind", work.assign.task);
  }
  return std::nullopt;
}

std::optional<std::string> broken_slot(LaneId id, const Slot& slot, std::set<TaskKey>& seen) {
  int segments = 0;
  int others = 0;
  for (const Work& work : slot.works) {
    if (const auto broken = broken_work(id, slot, work, seen)) return broken;
    if (work.on_lane()) ++(std::holds_alternative<net::SegmentSpec>(work.assign.spec) ? segments : others);
  }
  if (segments > kSegmentsPerLaneMax || others > 1 || slot.works.size() > kTasksPerSlotMax) {
    return fmt::format("slot {} has {} tasks, and runs {} segments and {} others", id.value, slot.works.size(), segments, others);
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

WorkPlace WorkerTurn::find_work(TaskKey key) const {
  for (SlotEntry& slot : state.slots) {
    if (Work* work = slot.second.find(key); work != nullptr) return {&slot, work};
  }
  return {};
}

Work* Slot::find(TaskKey key) {
  const auto found = std::find_if(works.begin(), works.end(), [&](const Work& work) { return work.key() == key; });
  return found == works.end() ? nullptr : &*found;
}

bool Slot::runs_something() const {
  return std::any_of(works.begin(), works.end(), [](const Work& work) { return work.phase == WorkPhase::kRunning; });
}

bool Slot::has_on_lane() const {
  return std::any_of(works.begin(), works.end(), [](const Work& work) { return work.on_lane(); });
}

void begin_stopping(WorkerTurn& turn, std::string why) {
  if (std::exchange(turn.state.stops, true)) return;
  turn.emit(Say{std::move(why)});
  send_heartbeat(turn);  // before anything is given back, so that it does not come again
  for (SlotEntry& slot : turn.state.slots) {
    for (const TaskKey& key : keys_of(slot.second)) {
      Work& work = *slot.second.find(key);
      const bool begun = work.phase != WorkPhase::kPreparing && work.phase != WorkPhase::kPrepared;
      if (!begun) fail_work(turn, slot, work, lost_lane("its worker is ending"));
    }
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
  for (const net::LaneOffer& offer : state.identity.lanes) {
    if (offer.kind.arch != "cpu") state.slots[net::compile_lane(offer.lane)].status = SlotStatus::kUp;
  }
  return std::move(turn.effects);
}

std::vector<WorkerEffect> step(WorkerState& state, const WorkerEvent& event, WorkerMoment now) {
  WorkerTurn turn{state, now};
  if (state.over) return {};
  std::visit([&](const auto& body) { dispatch(turn, body); }, event);
  if (state.over) return std::move(turn.effects);
  for (SlotEntry& slot : state.slots) settle_slot(turn, slot);
  tell_of_waiting(turn);
  leave_when_done(turn);
  return std::move(turn.effects);
}

std::string broken_invariant(const WorkerState& state) {
  std::set<TaskKey> seen;
  for (const auto& [id, slot] : state.slots) {
    if (const auto broken = broken_slot(id, slot, seen)) return *broken;
  }
  for (const auto& [id, card] : state.cards) {
    const bool both = card.lane_bytes() > 0 && card.child_bytes() > 0;
    if (both && card.lane_bytes() + card.child_bytes() > card.room().bytes) {
      return fmt::format("lane {} and its card's compile child hold more than there is", id.value);
    }
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
