// The coordinator's state machine. Pure: one event in, effects out, in the order in which they are to be carried out.
// Facts come first; nothing behind a fact may be carried out before the journal holds it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/farm_rules.h"
#include "coordinator/core/farm_state.h"

namespace kiln::coordinator {

// ---- events ----
struct ClientAsked {
  std::string connection;
  std::uint64_t request = 0;
  bool admin = false;  // may act on workers and on others' jobs
  std::string who;     // name of the key; empty on an unkeyed loopback
  net::ClientRequest body;
};
struct WorkerSaid {
  std::string connection;
  net::FromWorker body;
};
struct Tick {};  // now and then, and after events: time has passed, and what is due is assigned
using FarmEvent = std::variant<ClientAsked, WorkerSaid, Tick>;

// The moment of an event: a clock for deadlines, and the wall's for people.
struct Moment {
  FarmTime at{0};
  double unix_s = 0.0;
};

// ---- effects ----
struct Record {
  net::Fact fact;
};
struct Tell {
  std::string connection;
  net::ToWorker message;  // the shell adds grants and addresses
};
struct Reply {
  std::string connection;
  std::uint64_t request = 0;
  net::ClientReply reply;
};
struct IssueGrants {  // the shell makes and sends them
  std::string connection;
  std::uint64_t request = 0;
  net::JobName job;
  bool write = false;
};
// What the store must keep for a job, beside what was sent for it. Nothing: the job is gone, and so is all of it.
struct KeepBlobs {
  net::JobName job;
  std::vector<std::string> sha256;
  std::vector<std::string> artifacts{};  // by key
  bool nothing_else = false;  // the job is done for good: what was sent for it and is not named may go, so also its segments
};
using FarmEffect = std::variant<Record, Tell, Reply, IssueGrants, KeepBlobs>;

struct FarmState {
  FarmRules rules;
  Durable durable;
  Live live;
};

[[nodiscard]] std::vector<FarmEffect> step(FarmState& state, const FarmEvent& event, Moment now);

// One fact of the journal. The only way in which `Durable` changes; used by step() itself and at a restart.
void apply_fact(Durable& durable, const net::Fact& fact);
void apply_fact(Durable& durable, net::Fact&& fact);
// The exit code that a fault asks for: a source that cannot be read is another one than a full disk.
[[nodiscard]] int exit_code_of(const net::TaskFault& fault);

// Every task of a job, in the order of numbers of each kind. `visit` takes (TaskNumber, TaskRecord&) and removes none.
template <typename State, typename Visit>
void visit_tasks(State& durable, const JobRecord& job, Visit visit) {
  const TaskNumber end = job.first_task + job.request.clips.size() + static_cast<TaskNumber>(job.request.noop_tasks);
  for (auto at = durable.tasks.lower_bound(job.first_task); at != durable.tasks.end() && at->first < end; ++at) {
    visit(at->first, at->second);
  }
  for (const TaskNumber number : job.tasks) {
    if (const auto at = durable.tasks.find(number); at != durable.tasks.end()) visit(at->first, at->second);
  }
}

// After the journal was replayed: tasks that were running wait for their workers.
void begin_after_replay(FarmState& state, Moment now);

// Everything that a job in this state needs; nothing: it is not there.
[[nodiscard]] KeepBlobs needs_of(const Durable& durable, const net::JobName& job);

}  // namespace kiln::coordinator
