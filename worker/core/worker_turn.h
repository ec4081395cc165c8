// One event's worth of work: what the parts of step() share. Used inside worker/core alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "worker/core/worker_step.h"

namespace kiln::worker {

using SlotEntry = std::pair<const LaneId, Slot>;
struct WorkPlace {
  SlotEntry* slot = nullptr;
  Work* work = nullptr;
};

struct WorkerTurn {
  WorkerState& state;
  WorkerMoment now;
  std::vector<WorkerEffect> effects{};

  template <typename Effect>
  void emit(Effect effect) {
    effects.emplace_back(std::move(effect));
  }
  // Only in a session; what is said outside one would be lost, and Hello says all that matters.
  void send(net::FromWorker message);
  [[nodiscard]] bool welcomed() const { return state.session.state == SessionState::kWelcomed; }
  [[nodiscard]] Slot* slot(LaneId id) const;
  // Where the task is at work; nullptr: it is not here (any more).
  [[nodiscard]] WorkPlace find_work(TaskKey key) const;
};

[[nodiscard]] net::TaskFault lost_lane(std::string why);

// By a signal or the coordinator's word: nothing new is begun, and the worker leaves when it is done.
void begin_stopping(WorkerTurn& turn, std::string why);

// ---- session.cc ----
void greet(WorkerTurn& turn);
void on_coordinator(WorkerTurn& turn, const net::ToWorker& message);
void keep_session(WorkerTurn& turn);  // heartbeats, renewals, reports again
void send_heartbeat(WorkerTurn& turn);
void leave_when_done(WorkerTurn& turn);
void tell_of_waiting(WorkerTurn& turn);  // lanes that wait for a compile of their card, or do so no more

// ---- tasks.cc ----
void on_assign(WorkerTurn& turn, const net::Assign& assign);
void on_cancel(WorkerTurn& turn, TaskKey key);
void on_artifact_ready(WorkerTurn& turn, const std::string& artifact);
void begin_work(WorkerTurn& turn, SlotEntry& slot, net::Assign assign);
// `work` may be gone after each of these.
void fail_work(WorkerTurn& turn, SlotEntry& slot, Work& work, net::TaskFault fault);
void cancel_work(WorkerTurn& turn, SlotEntry& slot, Work& work);
void drop_work(WorkerTurn& turn, SlotEntry& slot, Work& work);  // without a word
void end_cancelled(WorkerTurn& turn, SlotEntry& slot, Work& work);  // its lane has left it
void end_work(Slot& slot, TaskKey key);
[[nodiscard]] std::vector<TaskKey> keys_of(const Slot& slot);  // for loops that end works
void report(WorkerTurn& turn, LaneId slot, net::FromWorker message);
void remember_ended(WorkerTurn& turn, TaskKey key);

// ---- compile_turns.cc ----
// Whether the card's memory holds that beside its compile child, which is dropped for it where it has nothing to do. Both count it as
// begun.
[[nodiscard]] bool card_allows_start(WorkerTurn& turn, LaneId lane);
[[nodiscard]] bool card_allows_work(WorkerTurn& turn, const SlotEntry& lane, const Work& next);
void card_lost_lane(WorkerTurn& turn, LaneId lane);
void settle_compiler(WorkerTurn& turn, SlotEntry& place);  // begins what can begin
void compile_ended(WorkerTurn& turn, LaneId place, const CompileMemory& memory);
void resume_lane(WorkerTurn& turn, SlotEntry& lane);  // behind the compile for which it was released
void keep_turn(WorkerTurn& turn, SlotEntry& place);
[[nodiscard]] std::vector<LaneId> waiting_lanes(const WorkerState& state);  // for a compile of their card

// ---- work_events.cc ----
void on_event(WorkerTurn& turn, const RunProgressed& event);
void on_event(WorkerTurn& turn, const RunDone& event);
void on_event(WorkerTurn& turn, const RunFailed& event);
void on_event(WorkerTurn& turn, const ArtifactRefused& event);
void on_event(WorkerTurn& turn, const Prepared& event);
void on_event(WorkerTurn& turn, const Stored& event);
void on_event(WorkerTurn& turn, const TransferFailed& event);
void keep_work(WorkerTurn& turn, SlotEntry& slot);  // what is due by the clock

// ---- lanes.cc ----
void on_event(WorkerTurn& turn, const LaneIsUp& event);
void on_event(WorkerTurn& turn, const LaneIsLost& event);
void on_event(WorkerTurn& turn, const LaneIsAlive& event);
void start_lane(WorkerTurn& turn, SlotEntry& slot);
void restart_lane(WorkerTurn& turn, SlotEntry& slot, const std::string& why);  // ours to kill; no death
void keep_lane(WorkerTurn& turn, SlotEntry& slot);    // hangs, starts that are due
void settle_slot(WorkerTurn& turn, SlotEntry& slot);  // begins what can begin, and announces what changed

}  // namespace kiln::worker
