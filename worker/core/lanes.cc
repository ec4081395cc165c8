// Lanes come up, fall silent, die and are started again.
#include <fmt/core.h>

#include <algorithm>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

// The first death is an accident; after that each try waits longer.
WorkerTime restart_wait(const WorkerRules& rules, int deaths_in_a_row) {
  if (deaths_in_a_row <= 1) return WorkerTime{0};
  WorkerTime wait = rules.restart_first;
  for (int i = 2; i < deaths_in_a_row && wait < rules.restart_most; ++i) wait *= 2;
  return std::min(wait, rules.restart_most);
}

// What becomes of the task of a lane that has just died.
void settle_work_of_dead(WorkerTurn& turn, SlotEntry& slot, const net::TaskFault& fault) {
  if (!slot.second.work) return;
  const Work& work = *slot.second.work;
  switch (work.phase) {
    case WorkPhase::kRunning: return fail_work(turn, slot, fault);
    case WorkPhase::kCancelling: {
      if (!work.fault) return drop_work(turn, slot);
      const net::TaskFault reason = *work.fault;
      return fail_work(turn, slot, reason);
    }
    case WorkPhase::kPreparing:
    case WorkPhase::kPrepared:
      if (slot.second.status == SlotStatus::kDown) fail_work(turn, slot, lost_lane(fault.message));
      return;
    case WorkPhase::kStoring: return;  // it needs the lane no more
  }
}

void lane_died(WorkerTurn& turn, SlotEntry& slot, net::FailureKind kind, const std::string& why,
               const std::optional<Error>& refusal = std::nullopt) {
  Slot& lane = slot.second;
  const bool barren = !lane.work || lane.work->phase != WorkPhase::kRunning;
  ++turn.state.counters.lanes_lost;
  ++lane.deaths_in_a_row;
  lane.barren_deaths += barren ? 1 : 0;
  lane.why_down = why;
  turn.emit(Say{fmt::format("lane {} is lost: {}", slot.first.value, why)});
  if (!turn.state.any_work_done && refusal) {
    turn.state.over = true;
    return turn.emit(Leave{*refusal});
  }
  if (!turn.state.any_work_done && lane.barren_deaths >= turn.state.rules.deaths_max) {
    turn.state.over = true;
    return turn.emit(Leave{make_error(ErrorCode::kInternal, ExitCode::kFailed, "lane {} ends as soon as it starts: {}",
                                      slot.first.value, why)});
  }
  const WorkerTime wait = restart_wait(turn.state.rules, lane.deaths_in_a_row);
  if (wait > WorkerTime{0}) {
    lane.status = SlotStatus::kDown;
    lane.start_at = turn.now.at + wait;
  } else {
    start_lane(turn, slot);
  }
  settle_work_of_dead(turn, slot, {kind, std::string(to_string(ErrorCode::kInternal)),
                                   fmt::format("its lane died: {}", why), -1});
}

bool is_usable(const WorkerTurn& turn, const Slot& lane) {
  if (turn.state.stopping()) return lane.work.has_value();
  return lane.status == SlotStatus::kUp || (lane.status == SlotStatus::kStarting && lane.deaths_in_a_row <= 1);
}

// A lane that is said to be down loses its task there: that one is reported first.
void announce(WorkerTurn& turn, SlotEntry& slot) {
  Slot& lane = slot.second;
  const bool usable = is_usable(turn, lane);
  if (!turn.welcomed() || usable == lane.announced || (!usable && lane.work)) return;
  lane.announced = usable;
  const std::string why = usable ? "" : turn.state.stopping() ? "its worker is ending" : lane.why_down;
  turn.send(net::LaneChanged{lane.offer, usable, why});
}

}  // namespace

void start_lane(WorkerTurn& turn, SlotEntry& slot) {
  slot.second.status = SlotStatus::kStarting;
  slot.second.started_at = turn.now.at;
  slot.second.heard_at = turn.now.at;
  turn.emit(StartLane{slot.first});
}

void restart_lane(WorkerTurn& turn, SlotEntry& slot, const std::string& why) {
  if (slot.second.status == SlotStatus::kDown) return;
  turn.emit(KillLane{slot.first, why});
  start_lane(turn, slot);
}

void on_event(WorkerTurn& turn, const LaneIsUp& event) {
  Slot* lane = turn.slot(event.lane);
  if (lane == nullptr || is_compile(event.lane) || lane->status == SlotStatus::kDown) return;
  lane->status = SlotStatus::kUp;
  lane->heard_at = turn.now.at;
}

void on_event(WorkerTurn& turn, const LaneIsLost& event) {
  const auto slot = turn.state.slots.find(event.lane);
  if (slot == turn.state.slots.end() || is_compile(event.lane) || slot->second.status == SlotStatus::kDown) return;
  lane_died(turn, *slot, event.kind, event.why, event.refusal);
}

void on_event(WorkerTurn& turn, const LaneIsAlive& event) {
  if (Slot* lane = turn.slot(event.lane); lane != nullptr) lane->heard_at = turn.now.at;
}

void keep_lane(WorkerTurn& turn, SlotEntry& slot) {
  Slot& lane = slot.second;
  const WorkerRules& rules = turn.state.rules;
  if (lane.status == SlotStatus::kDown) {
    if (turn.now.at >= lane.start_at && !turn.state.stopping()) start_lane(turn, slot);
    return;
  }
  const bool late = lane.status == SlotStatus::kStarting && turn.now.at - lane.started_at >= rules.lane_start_max;
  const bool runs = lane.work && lane.work->phase == WorkPhase::kRunning;
  const bool silent = runs && turn.now.at - lane.heard_at >= rules.lane_silence_max;
  if (!late && !silent) return;
  ++turn.state.counters.lanes_hung;
  const std::string why =
      late ? std::string("it did not come up") : fmt::format("no sign of life for {} s", rules.lane_silence_max.count() / 1000);
  turn.emit(KillLane{slot.first, why});
  lane_died(turn, slot, net::FailureKind::kHang, why);
}

void settle_slot(WorkerTurn& turn, SlotEntry& slot) {
  Slot& it = slot.second;
  if (!it.work && it.next) {
    const net::Assign next = std::move(*it.next);
    it.next.reset();
    begin_work(turn, slot, next);
  }
  if (it.work && it.work->phase == WorkPhase::kPrepared && it.status == SlotStatus::kUp) {
    it.work->phase = WorkPhase::kRunning;
    it.work->since = turn.now.at;
    it.heard_at = turn.now.at;
    turn.emit(RunTask{slot.first, it.work->assign});
  }
  if (!is_compile(slot.first)) announce(turn, slot);
}

}  // namespace kiln::worker
