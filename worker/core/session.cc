// The session with the coordinator. It may be away for as long as it likes: lanes go on, results wait, and when it is
// back it hears what is still at work here. Heartbeats are not answered; a coordinator that has begun anew answers the
// first one with a refusal, and is greeted again.
#include <fmt/core.h>

#include <algorithm>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

void add_running(const Slot& slot, LaneId id, std::vector<net::RunningTask>& out) {
  for (const Work& work : slot.works) {
    const bool called_off = work.phase == WorkPhase::kCancelling && !work.fault;
    if (!called_off) out.push_back({work.assign.task, work.assign.attempt, id});
  }
}

std::vector<net::RunningTask> running_tasks(const WorkerState& state) {
  std::vector<net::RunningTask> out;
  for (const auto& [id, slot] : state.slots) add_running(slot, id, out);
  for (const auto& [key, report] : state.reports) out.push_back({key.task, key.attempt, report.slot});
  return out;
}

net::WorkerHello make_hello(WorkerState& state) {
  net::WorkerHello hello = state.identity;
  hello.lanes.clear();
  hello.compiles = hello.compiles && !state.stopping();
  hello.running = running_tasks(state);
  hello.leaving = state.stopping();
  for (auto& [id, slot] : state.slots) {
    if (is_compile(id)) continue;
    const bool usable = state.stopping() ? !slot.works.empty() : slot.status != SlotStatus::kDown;
    slot.announced = usable || !slot.works.empty();
    if (slot.announced) hello.lanes.push_back(slot.offer);
  }
  return hello;
}

void send_reports(WorkerTurn& turn) {
  for (auto& [key, report] : turn.state.reports) {
    report.sent_at = turn.now.at;
    turn.send(report.message);
  }
}

void on_welcome(WorkerTurn& turn, const net::Welcome& welcome) {
  Session& session = turn.state.session;
  if (session.state == SessionState::kAway) return;  // of a connection that is gone
  const bool expected = session.state == SessionState::kGreeting;
  const bool began_anew = !expected && welcome.epoch != session.epoch;
  session.state = SessionState::kWelcomed;
  session.epoch = welcome.epoch;
  session.heartbeat_interval = WorkerTime{welcome.heartbeat_ms};
  session.expires_unix_s = welcome.expires_unix_s;
  session.refused_at.reset();
  turn.emit(UseWelcome{welcome});
  if (began_anew) return greet(turn);
  if (!expected) return;
  session.heartbeat_at = turn.now.at;
  send_reports(turn);
}

void leave(WorkerTurn& turn, std::optional<Error> error) {
  turn.state.over = true;
  turn.emit(Leave{std::move(error)});
}

void on_refused(WorkerTurn& turn, const Error& error) {
  Session& session = turn.state.session;
  if (error.code == ErrorCode::kUnauthenticated) {
    if (session.state == SessionState::kWelcomed) greet(turn);  // else a hello is on its way
    return;
  }
  const bool taken = error.code == ErrorCode::kAlreadyExists;
  if (!session.refused_at) session.refused_at = turn.now.at;
  if (taken && turn.now.at - *session.refused_at < turn.state.rules.name_patience) return;
  leave(turn, error);
}

void on_taken(WorkerTurn& turn, TaskKey key) {
  if (turn.state.reports.erase(key) == 0) {
    ++turn.state.counters.late_messages;
    return;
  }
  remember_ended(turn, key);
}

// Who still wants its artifact has another worker make it: this one does not stay for that.
void call_compiles_off(WorkerTurn& turn) {
  for (const auto& [id, slot] : turn.state.slots) {
    if (!is_compile(id) && !slot.works.empty()) return;
  }
  for (SlotEntry& slot : turn.state.slots) {
    for (Work& work : slot.second.works) {
      if (work.phase != WorkPhase::kRunning) continue;
      cancel_work(turn, slot, work);
      work.fault = lost_lane("its worker is ending");
    }
  }
}

// Grants are asked for while the old ones still hold.
void renew(WorkerTurn& turn) {
  Session& session = turn.state.session;
  if (session.expires_unix_s == 0) return;
  if (session.expires_unix_s - turn.now.unix_s > turn.state.rules.renewal_margin_s) return;
  if (turn.now.at - session.renewal_at < turn.state.rules.renewal_interval) return;
  session.renewal_at = turn.now.at;
  turn.send(net::AskRenewal{});
}

}  // namespace

void greet(WorkerTurn& turn) {
  Session& session = turn.state.session;
  session.state = SessionState::kGreeting;
  session.hello_at = turn.now.at;
  ++turn.state.counters.hellos;
  turn.emit(Send{make_hello(turn.state)});
}

void on_coordinator(WorkerTurn& turn, const net::ToWorker& message) {
  if (const auto* welcome = std::get_if<net::Welcome>(&message)) return on_welcome(turn, *welcome);
  if (const auto* assign = std::get_if<net::Assign>(&message)) return on_assign(turn, *assign);
  if (const auto* cancel = std::get_if<net::CancelTask>(&message)) return on_cancel(turn, {cancel->task, cancel->attempt});
  if (const auto* taken = std::get_if<net::ResultTaken>(&message)) return on_taken(turn, {taken->task, taken->attempt});
  if (const auto* ready = std::get_if<net::ArtifactReady>(&message)) return on_artifact_ready(turn, ready->key);
  if (const auto* refused = std::get_if<net::WorkerRefused>(&message)) return on_refused(turn, refused->error);
  const auto& drain = std::get<net::DrainWorker>(message);
  if (drain.on && drain.leave) return begin_stopping(turn, "told to leave: what is being rendered is finished first");
  turn.emit(Say{drain.on ? "drained: what is at work is finished, and nothing new comes" : "no longer drained"});
}

void send_heartbeat(WorkerTurn& turn) {
  Session& session = turn.state.session;
  session.heartbeat_at = turn.now.at;
  session.waiting_told = waiting_lanes(turn.state);
  turn.send(net::Heartbeat{turn.state.memory_available_bytes, running_tasks(turn.state), turn.state.stopping(), session.waiting_told});
}

void tell_of_waiting(WorkerTurn& turn) {
  if (turn.welcomed() && waiting_lanes(turn.state) != turn.state.session.waiting_told) send_heartbeat(turn);
}

void keep_session(WorkerTurn& turn) {
  Session& session = turn.state.session;
  const WorkerRules& rules = turn.state.rules;
  if (session.state == SessionState::kGreeting && turn.now.at - session.hello_at >= rules.hello_interval) greet(turn);
  if (session.state != SessionState::kWelcomed) return;
  const WorkerTime beat =
      session.heartbeat_interval > WorkerTime{0} ? session.heartbeat_interval : rules.heartbeat_interval;
  if (turn.now.at - session.heartbeat_at >= beat) send_heartbeat(turn);
  renew(turn);
  for (auto& [key, report] : turn.state.reports) {
    if (turn.now.at - report.sent_at < rules.report_interval) continue;
    report.sent_at = turn.now.at;
    ++turn.state.counters.reports_again;
    turn.send(report.message);
  }
}

void leave_when_done(WorkerTurn& turn) {
  WorkerState& state = turn.state;
  if (!state.stopping()) return;
  const bool busy = std::any_of(state.slots.begin(), state.slots.end(),
                                [](const auto& slot) { return !slot.second.works.empty(); });
  if (busy) {
    call_compiles_off(turn);
    return state.idle_since.reset();
  }
  if (!state.idle_since) state.idle_since = turn.now.at;
  if (!state.reports.empty()) {
    if (turn.now.at - *state.idle_since < state.rules.drain_patience) return;
    turn.emit(Say{fmt::format("{} results were not taken; they are lost with this worker", state.reports.size())});
  }
  turn.send(net::Goodbye{});
  leave(turn, std::nullopt);
}

}  // namespace kiln::worker
