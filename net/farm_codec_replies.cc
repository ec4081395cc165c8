#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {
namespace {

// Those of Error, which is no type of this namespace.
using net::get;
using net::put;

void put(const Done& in, farm::Done& out) {
  out.set_note(one_line(in.note));
}

Done get(const farm::Done& in, WireReader& read) {
  Done out;
  out.note = read.text(in.note(), "Done.note");
  return out;
}

void put(const Refused& in, farm::Refused& out) {
  put(in.error, *out.mutable_error());
}

Refused get(const farm::Refused& in, WireReader& read) {
  Refused out;
  out.error = get(in.error(), read);
  return out;
}

void put(const Grants& in, farm::Grants& out) {
  out.set_store_url(one_line(in.store_url));
  out.set_read_query(one_line(in.read_query));
  out.set_write_query(one_line(in.write_query));
  out.set_expires_unix_s(in.expires_unix_s);
}

Grants get(const farm::Grants& in, WireReader& read) {
  Grants out;
  out.store_url = read.text(in.store_url(), "Grants.store_url");
  out.read_query = read.text(in.read_query(), "Grants.read_query");
  out.write_query = read.text(in.write_query(), "Grants.write_query");
  out.expires_unix_s = read.count(in.expires_unix_s(), "Grants.expires_unix_s");
  return out;
}

void put(const LaneStatus& in, farm::LaneStatus& out) {
  put(in.offer, *out.mutable_offer());
  out.set_state(in.state);
  out.set_why(one_line(in.why));
  out.set_task(in.task);
  out.set_frames_per_second(finite(in.frames_per_second));
  out.set_failures(in.failures);
}

LaneStatus get(const farm::LaneStatus& in, WireReader& read) {
  LaneStatus out;
  out.offer = get(in.offer(), read);
  out.state = read.label(in.state(), "LaneStatus.state");
  out.why = read.text(in.why(), "LaneStatus.why");
  out.task = in.task();
  out.frames_per_second = read.number(in.frames_per_second(), "LaneStatus.frames_per_second");
  out.failures = in.failures();
  return out;
}

void put(const WorkerStatus& in, farm::WorkerStatus& out) {
  out.set_worker(in.worker);
  out.set_connected(in.connected);
  out.set_draining(in.draining);
  out.set_cores(in.cores);
  out.set_memory_bytes(in.memory_bytes);
  out.set_heard_s_ago(finite(in.heard_s_ago));
  out.set_compiling(in.compiling);
  for (const auto& item : in.lanes) put(item, *out.add_lanes());
  out.set_pool(in.pool);
  out.set_compiles(in.compiles);
}

WorkerStatus get(const farm::WorkerStatus& in, WireReader& read) {
  WorkerStatus out;
  out.worker = read.worker(in.worker(), "WorkerStatus.worker");
  out.connected = in.connected();
  out.draining = in.draining();
  out.cores = read.integer(in.cores(), 0, kCoresMax, "WorkerStatus.cores");
  out.memory_bytes = read.bytes(in.memory_bytes(), "WorkerStatus.memory_bytes");
  out.heard_s_ago = read.number(in.heard_s_ago(), "WorkerStatus.heard_s_ago");
  out.compiling = in.compiling();
  if (read.may_hold(in.lanes().size(), kLanesMax, "WorkerStatus.lanes")) {
    for (const auto& item : in.lanes()) out.lanes.push_back(get(item, read));
  }
  out.pool = read.label(in.pool(), "WorkerStatus.pool");
  out.compiles = in.compiles();
  return out;
}

void put(const WorkerList& in, farm::WorkerList& out) {
  for (const auto& item : in.workers) put(item, *out.add_workers());
}

WorkerList get(const farm::WorkerList& in, WireReader& read) {
  WorkerList out;
  if (read.may_hold(in.workers().size(), kWorkersMax, "WorkerList.workers")) {
    for (const auto& item : in.workers()) out.workers.push_back(get(item, read));
  }
  return out;
}

void put(const Explanation& in, farm::Explanation& out) {
  for (const auto& item : in.lines) out.add_lines(one_line(item));
}

Explanation get(const farm::Explanation& in, WireReader& read) {
  Explanation out;
  if (read.may_hold(in.lines().size(), kLinesMax, "Explanation.lines")) {
    for (const auto& item : in.lines()) out.lines.push_back(read.text(item, "Explanation.lines"));
  }
  return out;
}

void put(const AttemptLog& in, farm::AttemptLog& out) {
  out.set_attempt(in.attempt);
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
  out.set_outcome(one_line(in.outcome));
  put(in.log, *out.mutable_log());
}

AttemptLog get(const farm::AttemptLog& in, WireReader& read) {
  AttemptLog out;
  out.attempt = in.attempt();
  out.worker = read.worker_or_none(in.worker(), "AttemptLog.worker");
  out.lane.value = in.lane();
  out.outcome = read.text(in.outcome(), "AttemptLog.outcome");
  out.log = get(in.log(), read);
  return out;
}

void put(const TaskLogs& in, farm::TaskLogs& out) {
  for (const auto& item : in.attempts) put(item, *out.add_attempts());
}

TaskLogs get(const farm::TaskLogs& in, WireReader& read) {
  TaskLogs out;
  if (read.may_hold(in.attempts().size(), kAttemptsMax, "TaskLogs.attempts")) {
    for (const auto& item : in.attempts()) out.attempts.push_back(get(item, read));
  }
  return out;
}

void put(const Span& in, farm::Span& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt);
  out.set_name(one_line(in.name));
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
  out.set_start_s(finite(in.start_s));
  out.set_end_s(finite(in.end_s));
  out.set_outcome(one_line(in.outcome));
}

Span get(const farm::Span& in, WireReader& read) {
  Span out;
  out.task = in.task();
  out.attempt = in.attempt();
  out.name = read.text(in.name(), "Span.name");
  out.worker = read.worker_or_none(in.worker(), "Span.worker");
  out.lane.value = in.lane();
  out.start_s = read.number(in.start_s(), "Span.start_s");
  out.end_s = read.number(in.end_s(), "Span.end_s");
  out.outcome = read.text(in.outcome(), "Span.outcome");
  return out;
}

void put(const Trace& in, farm::Trace& out) {
  for (const auto& item : in.spans) put(item, *out.add_spans());
}

Trace get(const farm::Trace& in, WireReader& read) {
  Trace out;
  if (read.may_hold(in.spans().size(), kSpansMax, "Trace.spans")) {
    for (const auto& item : in.spans()) out.spans.push_back(get(item, read));
  }
  return out;
}

void put(const FarmStatus& in, farm::FarmStatus& out) {
  out.set_jobs_waiting(in.jobs_waiting);
  out.set_jobs_running(in.jobs_running);
  out.set_jobs_ended(in.jobs_ended);
  out.set_tasks_waiting(in.tasks_waiting);
  out.set_tasks_running(in.tasks_running);
  out.set_workers(in.workers);
  out.set_lanes(in.lanes);
  out.set_lanes_set_aside(in.lanes_set_aside);
  out.set_version(in.version);
  out.set_uptime_s(finite(in.uptime_s));
}

FarmStatus get(const farm::FarmStatus& in, WireReader& read) {
  FarmStatus out;
  out.jobs_waiting = in.jobs_waiting();
  out.jobs_running = in.jobs_running();
  out.jobs_ended = in.jobs_ended();
  out.tasks_waiting = in.tasks_waiting();
  out.tasks_running = in.tasks_running();
  out.workers = in.workers();
  out.lanes = in.lanes();
  out.lanes_set_aside = in.lanes_set_aside();
  out.version = read.label(in.version(), "FarmStatus.version");
  out.uptime_s = read.number(in.uptime_s(), "FarmStatus.uptime_s");
  return out;
}

struct ClientReplyPut {
  farm::ClientReply& out;
  void operator()(const Done& in) const { put(in, *out.mutable_done()); }
  void operator()(const Refused& in) const { put(in, *out.mutable_refused()); }
  void operator()(const Grants& in) const { put(in, *out.mutable_grants()); }
  void operator()(const JobList& in) const { put(in, *out.mutable_job_list()); }
  void operator()(const JobStatus& in) const { put(in, *out.mutable_job_status()); }
  void operator()(const WorkerList& in) const { put(in, *out.mutable_worker_list()); }
  void operator()(const Explanation& in) const { put(in, *out.mutable_explanation()); }
  void operator()(const TaskLogs& in) const { put(in, *out.mutable_task_logs()); }
  void operator()(const Trace& in) const { put(in, *out.mutable_trace()); }
  void operator()(const FarmStatus& in) const { put(in, *out.mutable_farm_status()); }
};

}  // namespace

void put(const ClientReply& in, farm::ClientReply& out) { std::visit(ClientReplyPut{out}, in); }

ClientReply get(const farm::ClientReply& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::ClientReply::kDone:
      return get(in.done(), read);
    case farm::ClientReply::kRefused:
      return get(in.refused(), read);
    case farm::ClientReply::kGrants:
      return get(in.grants(), read);
    case farm::ClientReply::kJobList:
      return get(in.job_list(), read);
    case farm::ClientReply::kJobStatus:
      return get(in.job_status(), read);
    case farm::ClientReply::kWorkerList:
      return get(in.worker_list(), read);
    case farm::ClientReply::kExplanation:
      return get(in.explanation(), read);
    case farm::ClientReply::kTaskLogs:
      return get(in.task_logs(), read);
    case farm::ClientReply::kTrace:
      return get(in.trace(), read);
    case farm::ClientReply::kFarmStatus:
      return get(in.farm_status(), read);
    case farm::ClientReply::BODY_NOT_SET:
      break;
  }
  read.refuse("ClientReply", "holds nothing that this program knows");
  return {};
}

}  // namespace kiln::net
