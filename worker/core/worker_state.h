// What a worker knows about its session, its lanes and their tasks. step() alone changes it.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "net/farm_worker_messages.h"
#include "worker/core/card_ledger.h"
#include "worker/core/worker_rules.h"

namespace kiln::worker {

// Compiling runs beside the lanes; these stand where a lane would, one for each card (net::compile_lane). The coordinator uses the same
// numbers.
inline constexpr LaneId kCompileSlot = net::kCompileLane;
[[nodiscard]] inline bool is_compile(LaneId slot) { return net::is_compile_lane(slot); }

struct TaskKey {
  std::uint64_t task = 0;
  Attempt attempt;
  auto operator<=>(const TaskKey&) const = default;
};
[[nodiscard]] inline TaskKey key_of(const net::Assign& assign) { return {assign.task, assign.attempt}; }

enum class WorkPhase : std::uint8_t {
  kPreparing,   // what it needs is fetched
  kPrepared,    // waits for its lane
  kRunning,     // the lane has it
  kCancelling,  // the lane was told to stop it
  kStoring,     // what it made, or its log, goes into the store
};

// A task of a lane, from its assignment until its outcome is reported.
struct Work {
  net::Assign assign;
  WorkPhase phase = WorkPhase::kPreparing;
  std::optional<net::TaskFault> fault;   // it failed, and only its log is still stored
  std::optional<net::TaskProgress> unsent;  // progress that came too soon after the last
  std::optional<WorkerTime> transfer_failed_at;  // the first of failures in a row
  std::optional<WorkerTime> retry_at;
  WorkerTime retry_wait{0};
  WorkerTime since{0};        // of this phase
  WorkerTime progress_at{0};  // sent
  bool found = false;      // a compile that need not be done: the store has its artifact
  bool held_back = false;  // as many compiles run as the host carries

  [[nodiscard]] TaskKey key() const { return key_of(assign); }
  [[nodiscard]] bool on_lane() const { return phase == WorkPhase::kRunning || phase == WorkPhase::kCancelling; }
};

enum class SlotStatus : std::uint8_t {
  kStarting,
  kUp,
  kDown,      // died too often: waits
  kReleased,  // its process has ended for a compile of its card, and is started again behind it
};

// A lane and what it is at; or the place of a compile. While one segment is rendered or stored, the next is fetched and
// begun.
struct Slot {
  net::LaneOffer offer;  // of a lane
  SlotStatus status = SlotStatus::kStarting;
  std::list<Work> works;  // in the order in which they came
  WorkerTime heard_at{0};  // a sign of life
  WorkerTime started_at{0};
  WorkerTime start_at{0};  // kDown: when it is started again
  int deaths_in_a_row = 0;
  int barren_deaths = 0;  // of those, without any task at work
  std::string why_down;
  bool announced = false;  // the coordinator takes it for usable
  // Of a compile that waits until its card is free of the lane, whose works of that moment go first.
  std::optional<WorkerTime> asked_at{};
  std::set<TaskKey> goes_first{};

  [[nodiscard]] Work* find(TaskKey key);
  [[nodiscard]] bool runs_something() const;
  [[nodiscard]] bool has_on_lane() const;  // or is being cancelled there
};

// An outcome that the coordinator has not taken yet.
struct Report {
  net::FromWorker message;  // TaskDone or TaskFailed
  LaneId slot;
  WorkerTime sent_at{0};
};

enum class SessionState : std::uint8_t { kAway, kGreeting, kWelcomed };

struct Session {
  SessionState state = SessionState::kAway;
  std::string epoch;
  WorkerTime heartbeat_interval{0};
  WorkerTime hello_at{0};
  WorkerTime heartbeat_at{0};
  WorkerTime renewal_at{0};
  std::int64_t expires_unix_s = 0;  // of the grants; 0: never
  std::optional<WorkerTime> refused_at;  // first of refusals in a row
  std::vector<LaneId> waiting_told;  // in the last heartbeat
};

// All only rise.
struct WorkerCounters {
  std::uint64_t assignments = 0;
  std::uint64_t results = 0;
  std::uint64_t failures = 0;
  std::uint64_t late_messages = 0;  // of tasks that are not, or no longer, at work here
  std::uint64_t superseded = 0;     // tasks of which a later attempt came
  std::uint64_t turned_down_full = 0;  // beyond kTasksPerSlotMax
  std::uint64_t reports_again = 0;
  std::uint64_t lanes_lost = 0;
  std::uint64_t lanes_hung = 0;
  std::uint64_t lanes_stuck = 0;  // did not stop in cancel_patience
  std::uint64_t transfers_again = 0;
  std::uint64_t transfers_given_up = 0;  // after transfer_patience
  std::uint64_t ended_forgotten = 0;     // beyond kEndedTasksKept
  std::uint64_t hellos = 0;
  std::uint64_t compile_turns = 0;  // compiles for which a lane's process ended, or was down
  WorkerTime compile_turns_waited{0};
  std::uint64_t compile_turns_given_up = 0;  // after compile_turn_patience
  std::uint64_t compiles_held_back = 0;      // since compiles_at_once run
  std::map<net::FailureKind, std::uint64_t> failed;  // outcomes by class
};

struct WorkerState {
  WorkerRules rules;
  net::WorkerHello identity;  // without what changes: lanes, running
  Session session;
  std::map<LaneId, Slot> slots;  // those of compiles among them
  std::map<LaneId, CardLedger> cards;  // by lane; of one without a card, or whose room is not known, none
  std::map<TaskKey, Report> reports;
  std::set<TaskKey> ended;             // taken, cancelled or given up
  std::deque<TaskKey> ended_in_order;  // kEndedTasksKept of them
  bool any_work_done = false;
  int signals_heard = 0;
  bool stops = false;  // ends when it has finished what it has
  bool stopping() const { return stops; }
  std::uint64_t memory_available_bytes = 0;  // at the last tick
  std::optional<WorkerTime> idle_since;  // while stopping: nothing is left but reports
  bool over = false;                     // Leave was said
  WorkerCounters counters;
};

}  // namespace kiln::worker
