// The worker's state machine. Pure: one event in, effects out, in the order in which they are to be carried out.
// The shell (worker/farm_worker.h) turns sockets, processes and transfers into events and carries out effects.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "worker/core/worker_state.h"

namespace kiln::worker {

// ---- events ----
struct LinkUp {};    // connected, anew: the other end may know nothing of us
struct LinkDown {};
struct CoordinatorSaid {
  net::ToWorker message;
};

struct LaneIsUp {
  LaneId lane;
};
// It is gone, and nobody asked for that. `kind`: crash, or out of memory where that can be told.
struct LaneIsLost {
  LaneId lane;
  net::FailureKind kind = net::FailureKind::kCrash;
  std::string why;
  std::optional<Error> refusal{};  // it says that it cannot work with what this worker was given: no lane can
};
// It said something, or works at what cannot say anything.
struct LaneIsAlive {
  LaneId lane;
};
struct RunProgressed {
  net::TaskProgress progress;
};
struct RunDone {  // on its lane; its result is still to be stored
  TaskKey key;
  CompileMemory memory{};  // of a compile, what it took of its card
};
struct RunFailed {
  TaskKey key;
  net::TaskFault fault;
};
// The artifact that a segment insists on was refused by its lane.
struct ArtifactRefused {
  TaskKey key;
  std::string why;
};

struct Prepared {
  TaskKey key;
  bool found = false;  // of a compile: the store has its artifact
};
struct Stored {
  TaskKey key;
  std::optional<net::TaskResult> result;  // absent: the log of a failure
  net::BlobRef log;
};
struct TransferFailed {  // of what Prepare or Store asked for
  TaskKey key;
  net::TaskFault fault;
  bool passing = false;  // the store could not be reached: worth another try
  bool denied = false;   // the grants were refused: new ones may help
};

struct StopAsked {};  // by a signal: the first drains, the second ends
struct Tick {
  std::uint64_t memory_available_bytes = 0;
};
using WorkerEvent = std::variant<LinkUp, LinkDown, CoordinatorSaid, LaneIsUp, LaneIsLost, LaneIsAlive, RunProgressed,
                                 RunDone, RunFailed, ArtifactRefused, Prepared, Stored, TransferFailed, StopAsked, Tick>;

struct WorkerMoment {
  WorkerTime at{0};
  std::int64_t unix_s = 0;  // for grants, which expire by the wall's clock
};

// ---- effects ----
struct Send {
  net::FromWorker message;
};
struct UseWelcome {  // grants, addresses and trusted keys from here on
  net::Welcome welcome;
};
struct StartLane {
  LaneId lane;
};
struct KillLane {  // at once; no LaneIsLost follows
  LaneId lane;
  std::string why;
};
struct ReleaseLane {  // as KillLane, for a compile of its card
  LaneId lane;
  std::string why;
};
struct DropCompiler {  // that place's child, which has nothing to do: gone when this was carried out
  LaneId place;
};
struct Prepare {  // answered by Prepared or TransferFailed, once for each Prepare
  LaneId slot;
  net::Assign assign;
};
struct RunTask {  // on the lane, or in the compile child; answered by RunDone, RunFailed or LaneIsLost
  LaneId slot;
  net::Assign assign;
};
struct CancelRun {  // the answer to RunTask comes all the same, soon
  LaneId slot;
  TaskKey key;
};
struct Store {  // answered by Stored or TransferFailed
  TaskKey key;
  bool only_log = false;
};
struct Drop {  // nothing of this task is needed any more
  TaskKey key;
};
struct OfferArtifact {  // to the lane that runs this task
  LaneId lane;
  TaskKey key;
  std::string artifact;
};
struct Say {  // for the log
  std::string text;
};
struct Leave {  // the worker is over
  std::optional<Error> error;
};
using WorkerEffect = std::variant<Send, UseWelcome, StartLane, KillLane, ReleaseLane, DropCompiler, Prepare, RunTask, CancelRun,
                                  Store, Drop, OfferArtifact, Say, Leave>;

// Lanes are to be started: the effects say which.
[[nodiscard]] std::vector<WorkerEffect> begin_worker(WorkerState& state, net::WorkerHello identity, WorkerMoment now);
[[nodiscard]] std::vector<WorkerEffect> step(WorkerState& state, const WorkerEvent& event, WorkerMoment now);

// What holds after every step; empty: all of it does.
[[nodiscard]] std::string broken_invariant(const WorkerState& state);

}  // namespace kiln::worker
