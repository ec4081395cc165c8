// Workers come, report, fall silent and come back. A session belongs to one instance of a worker's process; messages of
// any other connection are late and dropped.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator {
namespace {

using net::TaskKind;

// A second process under the same name, while the first one is heard: both would be given the same lanes.
bool is_taken(const Turn& turn, const std::string& connection, const net::WorkerHello& hello) {
  const WorkerSession* session = turn.worker(hello.worker);
  return session != nullptr && session->connected && session->hello.instance != hello.instance &&
         session->connection != connection;
}

void refuse(Turn& turn, const std::string& connection, Error error) {
  ++turn.live().counters.workers_refused;
  turn.effects.emplace_back(Tell{connection, net::WorkerRefused{std::move(error)}});
}

bool is_current(const Turn& turn, const net::WorkerName& worker, const net::RunningTask& running) {
  const TaskRecord* task = turn.task(running.task);
  if (task == nullptr) return false;
  return task->state == TaskState::kRunning && task->attempt == running.attempt && task->lane.worker == worker;
}

// To the lane that it was given to, whatever the worker says: there it is released.
void bind_lane(WorkerSession& session, TaskNumber number, const TaskRecord& task, FarmTime now) {
  if (task.kind == TaskKind::kCompile) {
    session.compiles[task.lane.lane] = {number, now, 0};
    return;
  }
  const auto lane = session.lanes.find(task.lane.lane);
  if (lane != session.lanes.end() && lane->second.find(number) == nullptr) lane->second.tasks.push_back({number, now, 0});
}

std::vector<TaskNumber> running_at(const Turn& turn, const net::WorkerName& worker) {
  std::vector<TaskNumber> out;
  for (const TaskNumber number : turn.durable().running) {
    if (turn.task(number)->lane.worker == worker) out.push_back(number);
  }
  return out;
}

// What the worker still works on stays its own; what it should have and has not is lost; what it has and should
// not is cancelled.
void reattach(Turn& turn, const net::WorkerHello& hello) {
  WorkerSession& session = *turn.worker(hello.worker);
  std::set<TaskNumber> kept;
  for (const net::RunningTask& running : hello.running) {
    if (is_current(turn, hello.worker, running)) {
      kept.insert(running.task);
      turn.live().orphans.erase(running.task);
      bind_lane(session, running.task, *turn.task(running.task), turn.now.at);
      continue;
    }
    ++turn.live().counters.late_messages;
    turn.tell(hello.worker, net::CancelTask{running.task, running.attempt, "it was given to another lane meanwhile"});
  }
  for (const TaskNumber number : running_at(turn, hello.worker)) {
    if (!kept.contains(number)) lose_attempt(turn, number, fmt::format("{} began anew without it", hello.worker));
  }
}

void forget_set_aside(Turn& turn, const net::WorkerName& worker) {
  std::vector<LaneName> lanes;
  for (const auto& [lane, why] : turn.durable().set_aside) {
    if (lane.worker == worker) lanes.push_back(lane);
  }
  for (const LaneName& lane : lanes) turn.record(net::LaneSetAside{lane.worker, lane.lane, false, {}});
}

void welcome_all(Turn& turn) {
  for (const auto& [name, session] : turn.live().workers) turn.tell(name, net::Welcome{});
}

void on_hello(Turn& turn, const std::string& connection, const net::WorkerHello& hello) {
  if (is_taken(turn, connection, hello)) {
    return refuse(turn, connection,
                  make_error(ErrorCode::kAlreadyExists, ExitCode::kTryAgain,
                             "a worker named {} is connected already; give this one another name (--name)", hello.worker));
  }
  const auto found = turn.live().workers.find(hello.worker);
  const bool same_process = found != turn.live().workers.end() && found->second.hello.instance == hello.instance;
  const bool leaving = same_process && found->second.leaving;
  std::map<LaneId, LaneLive> earlier;
  if (found != turn.live().workers.end()) earlier = std::move(found->second.lanes);
  if (!same_process) forget_set_aside(turn, hello.worker);  // also when this coordinator is the one that began anew
  WorkerSession session;
  session.connection = connection;
  session.hello = hello;
  session.hello.running.clear();
  session.heard_at = turn.now.at;
  session.leaving = leaving || hello.leaving;
  for (const net::LaneOffer& offer : hello.lanes) {
    LaneLive lane;
    if (same_process && earlier.contains(offer.lane)) lane = earlier[offer.lane];
    lane.offer = offer;
    lane.tasks.clear();
    session.lanes[offer.lane] = std::move(lane);
  }
  const bool is_new = found == turn.live().workers.end() || found->second.hello.signing_key != hello.signing_key;
  turn.live().workers[hello.worker] = std::move(session);
  turn.tell(hello.worker, net::Welcome{});
  reattach(turn, hello);
  if (leaving || turn.durable().draining.contains(hello.worker)) turn.tell(hello.worker, net::DrainWorker{true, leaving});
  if (is_new) welcome_all(turn);  // everybody learns whose artifacts may be loaded
  turn.live().dirty = true;
}

// A message may be lost with a connection or a full queue, and neither side would ever know. What a worker should have
// and does not name is told again (it knows what it has had); what it has and should not is cancelled again.
void compare(Turn& turn, const net::WorkerName& name, const net::Heartbeat& heartbeat) {
  std::set<TaskNumber> named;
  for (const net::RunningTask& running : heartbeat.running) {
    named.insert(running.task);
    if (is_current(turn, name, running)) continue;
    turn.tell(name, net::CancelTask{running.task, running.attempt, "it is not this worker's any more"});
  }
  const FarmTime patience{2 * static_cast<FarmTime::rep>(turn.state.rules.heartbeat_ms)};
  const auto tell_again = [&](TaskNumber number, FarmTime& assigned_at) {
    if (number == 0 || named.contains(number) || turn.now.at - assigned_at < patience) return;
    const TaskRecord* task = turn.task(number);
    if (task == nullptr || task->state != TaskState::kRunning || turn.job(task->job) == nullptr) return;
    assigned_at = turn.now.at;
    ++turn.live().counters.assignments_again;
    turn.tell(name, make_assign(turn, number, *task));
  };
  WorkerSession& session = *turn.worker(name);
  session.leaving = session.leaving || heartbeat.leaving;
  session.waiting_lanes = {heartbeat.waiting_lanes.begin(), heartbeat.waiting_lanes.end()};
  if (session.leaving) turn.tell(name, net::DrainWorker{true, true});
  for (auto& [id, lane] : session.lanes) {
    for (LaneTask& task : lane.tasks) tell_again(task.number, task.assigned_at);
  }
  for (auto& [place, compile] : session.compiles) tell_again(compile.number, compile.assigned_at);
}

void lose_all(Turn& turn, const LaneLive& lane, const std::string& why) {
  const std::vector<LaneTask> tasks = lane.tasks;
  for (const LaneTask& task : tasks) lose_attempt(turn, task.number, why);
}

void on_lane_changed(Turn& turn, const net::WorkerName& name, const net::LaneChanged& message) {
  LaneLive& lane = turn.worker(name)->lanes[message.offer.lane];
  lane.offer = message.offer;
  lane.up = message.up;
  if (!message.up) lose_all(turn, lane, fmt::format("its lane is gone: {}", message.why));
  turn.live().dirty = true;
}

void on_goodbye(Turn& turn, const net::WorkerName& name) {
  WorkerSession& session = *turn.worker(name);
  for (auto& [id, lane] : session.lanes) lose_all(turn, lane, fmt::format("{} has left", name));
  const auto compiles = session.compiles;
  for (const auto& [place, compile] : compiles) lose_attempt(turn, compile.number, fmt::format("{} has left", name));
  turn.live().workers.erase(name);
  turn.live().dirty = true;
}

net::WorkerName worker_at(const Turn& turn, const std::string& connection) {
  for (const auto& [name, session] : turn.live().workers) {
    if (session.connection == connection && session.connected) return name;
  }
  return {};
}

}  // namespace

void on_worker(Turn& turn, const std::string& connection, const net::FromWorker& message) {
  if (const auto* hello = std::get_if<net::WorkerHello>(&message)) return on_hello(turn, connection, *hello);
  const net::WorkerName name = worker_at(turn, connection);
  if (name.empty()) {
    // Silent for too long, or we began anew: it is to introduce itself again.
    ++turn.live().counters.late_messages;
    return refuse(turn, connection, make_error(ErrorCode::kUnauthenticated, "say hello first: the session is over"));
  }
  turn.worker(name)->heard_at = turn.now.at;
  if (const auto* done = std::get_if<net::TaskDone>(&message)) return on_task_done(turn, name, *done);
  if (const auto* failed = std::get_if<net::TaskFailed>(&message)) return on_task_failed(turn, name, *failed);
  if (const auto* progress = std::get_if<net::TaskProgress>(&message)) return on_progress(turn, name, *progress);
  if (const auto* changed = std::get_if<net::LaneChanged>(&message)) return on_lane_changed(turn, name, *changed);
  if (const auto* heartbeat = std::get_if<net::Heartbeat>(&message)) return compare(turn, name, *heartbeat);
  if (std::holds_alternative<net::AskRenewal>(message)) return turn.tell(name, net::Welcome{});
  if (std::holds_alternative<net::Goodbye>(message)) return on_goodbye(turn, name);
}

void release_lane(Turn& turn, const LaneName& name, TaskNumber number) {
  turn.live().dirty = true;
  WorkerSession* session = turn.worker(name.worker);
  if (session == nullptr) return;
  std::erase_if(session->compiles, [&](const auto& compile) { return compile.second.number == number; });
  LaneLive* lane = turn.lane(name);
  if (lane == nullptr) return;
  std::erase_if(lane->tasks, [&](const LaneTask& task) { return task.number == number; });
}

void lose_attempt(Turn& turn, TaskNumber number, const std::string& why) {
  const TaskRecord* task = turn.task(number);
  if (task == nullptr || task->state != TaskState::kRunning) return;
  const LaneName lane = task->lane;
  end_attempt(turn, number, {net::FailureKind::kLostLane, "unavailable", why, -1}, {});
  release_lane(turn, lane, number);
}

void lose_silent_workers(Turn& turn) {
  std::erase_if(turn.live().workers, [&](const auto& worker) {
    return !worker.second.connected && turn.now.at - worker.second.heard_at > turn.state.rules.worker_forget_after;
  });
  std::vector<net::WorkerName> lost;
  for (const auto& [name, session] : turn.live().workers) {
    if (session.connected && turn.now.at - session.heard_at > turn.state.rules.worker_silence_max) lost.push_back(name);
  }
  for (const net::WorkerName& name : lost) {
    ++turn.live().counters.workers_lost;
    turn.worker(name)->connected = false;
    for (const TaskNumber number : running_at(turn, name)) {
      if (turn.has_bug(SeededBug::kDoubleAssignmentAfterPartition) && turn.job(turn.task(number)->job) != nullptr) {
        turn.job(turn.task(number)->job)->waiting.insert(number);  // though it may still run over there
        continue;
      }
      lose_attempt(turn, number, fmt::format("{} is silent", name));
    }
  }
}

void lose_orphans(Turn& turn) {
  std::vector<TaskNumber> lost;
  for (const auto& [number, until] : turn.live().orphans) {
    if (turn.now.at >= until) lost.push_back(number);
  }
  for (const TaskNumber number : lost) {
    turn.live().orphans.erase(number);
    lose_attempt(turn, number, "its worker did not come back after the coordinator's restart");
  }
}

}  // namespace kiln::coordinator
