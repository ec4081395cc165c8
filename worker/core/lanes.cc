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

// What becomes of a task whose lane has just died. Of several that ran, the one that came first takes the blame: the others
// begin anew, and if it was one of them, it will be the first.
void settle_work_of_dead(WorkerTurn& turn, SlotEntry& slot, Work& work, const net::TaskFault& fault, bool& blamed) {
  const bool down = slot.second.status == SlotStatus::kDown;
  switch (work.phase) {
    case WorkPhase::kRunning:
      if (!std::exchange(blamed, true)) return fail_work(turn, slot, work, fault);
      work.phase = WorkPhase::kPrepared;
      break;
    case WorkPhase::kCancelling: return end_cancelled(turn, slot, work);
    case WorkPhase::kPreparing:
    case WorkPhase::kPrepared: break;
    case WorkPhase::kStoring: return;  // it needs the lane no more
  }
  if (down) fail_work(turn, slot, work, lost_lane(fault.message));
}

bool has_process(const Slot& lane) { return lane.status != SlotStatus::kDown && lane.status != SlotStatus::kReleased; }

void settle_works_of_dead(WorkerTurn& turn, SlotEntry& slot, const net::TaskFault& fault) {
  bool blamed = false;
  for (const TaskKey& key : keys_of(slot.second)) settle_work_of_dead(turn, slot, *slot.second.find(key), fault, blamed);
}

void lane_died(WorkerTurn& turn, SlotEntry& slot, net::FailureKind kind, const std::string& why,
               const std::optional<Error>& refusal = std::nullopt) {
  Slot& lane = slot.second;
  const bool barren = !lane.runs_something();
  card_lost_lane(turn, slot.first);
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
  settle_works_of_dead(turn, slot, {kind, std::string(to_string(ErrorCode::kInternal)),
                                    fmt::format("its lane died: {}", why), -1});
}

bool is_chore(const Work& work) { return !std::holds_alternative<net::SegmentSpec>(work.assign.spec); }

// A lane has one network loaded.
bool same_network(const net::Assign& a, const net::Assign& b) {
  return a.package == b.package && std::get<net::SegmentSpec>(a.spec).dtype == std::get<net::SegmentSpec>(b.spec).dtype;
}

// Beside what the slot is at: a lane renders segments of one network while it probes or joins; anything else waits.
bool may_run(const SlotEntry& slot, const Work& next) {
  int segments = 0;
  for (const Work& work : slot.second.works) {
    if (!work.on_lane()) continue;
    if (is_chore(work) != is_chore(next)) continue;
    if (is_chore(next) || !same_network(work.assign, next.assign) || ++segments >= kSegmentsPerLaneMax) return false;
  }
  return true;
}

bool is_usable(const WorkerTurn& turn, const Slot& lane) {
  if (turn.state.stopping()) return !lane.works.empty();
  const bool up = lane.status == SlotStatus::kUp || lane.status == SlotStatus::kReleased;
  return up || (lane.status == SlotStatus::kStarting && lane.deaths_in_a_row <= 1);
}

// A lane that is said to be down loses its tasks there: those are reported first.
void announce(WorkerTurn& turn, SlotEntry& slot) {
  Slot& lane = slot.second;
  const bool usable = is_usable(turn, lane);
  if (!turn.welcomed() || usable == lane.announced || (!usable && !lane.works.empty())) return;
  lane.announced = usable;
  const std::string why = usable ? "" : turn.state.stopping() ? "its worker is ending" : lane.why_down;
  turn.send(net::LaneChanged{lane.offer, usable, why});
}

}  // namespace

void start_lane(WorkerTurn& turn, SlotEntry& slot) {
  if (!card_allows_start(turn, slot.first)) {
    slot.second.status = SlotStatus::kReleased;
    return;
  }
  slot.second.status = SlotStatus::kStarting;
  slot.second.started_at = turn.now.at;
  slot.second.heard_at = turn.now.at;
  turn.emit(StartLane{slot.first});
}

void restart_lane(WorkerTurn& turn, SlotEntry& slot, const std::string& why) {
  if (!has_process(slot.second)) return;
  turn.emit(KillLane{slot.first, why});
  card_lost_lane(turn, slot.first);
  for (const TaskKey& key : keys_of(slot.second)) {
    Work& work = *slot.second.find(key);
    if (work.phase == WorkPhase::kCancelling) {
      end_cancelled(turn, slot, work);
    } else if (work.phase == WorkPhase::kRunning) {
      work.phase = WorkPhase::kPrepared;
    }
  }
  start_lane(turn, slot);
}

void on_event(WorkerTurn& turn, const LaneIsUp& event) {
  Slot* lane = turn.slot(event.lane);
  if (lane == nullptr || is_compile(event.lane) || !has_process(*lane)) return;
  lane->status = SlotStatus::kUp;
  lane->heard_at = turn.now.at;
}

void on_event(WorkerTurn& turn, const LaneIsLost& event) {
  const auto slot = turn.state.slots.find(event.lane);
  if (slot == turn.state.slots.end() || is_compile(event.lane) || !has_process(slot->second)) return;
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
  if (!has_process(lane)) return;
  const bool late = lane.status == SlotStatus::kStarting && turn.now.at - lane.started_at >= rules.lane_start_max;
  const bool silent = lane.runs_something() && turn.now.at - lane.heard_at >= rules.lane_silence_max;
  if (!late && !silent) return;
  ++turn.state.counters.lanes_hung;
  const std::string why =
      late ? std::string("it did not come up") : fmt::format("no sign of life for {} s", rules.lane_silence_max.count() / 1000);
  turn.emit(KillLane{slot.first, why});
  lane_died(turn, slot, net::FailureKind::kHang, why);
}

void settle_slot(WorkerTurn& turn, SlotEntry& slot) {
  if (is_compile(slot.first)) return settle_compiler(turn, slot);
  Slot& it = slot.second;
  resume_lane(turn, slot);
  for (Work& work : it.works) {
    if (work.phase != WorkPhase::kPrepared || it.status != SlotStatus::kUp || !may_run(slot, work)) continue;
    if (!card_allows_work(turn, slot, work)) continue;
    work.phase = WorkPhase::kRunning;
    work.since = turn.now.at;
    it.heard_at = turn.now.at;
    turn.emit(RunTask{slot.first, work.assign});
  }
  announce(turn, slot);
}

}  // namespace kiln::worker
