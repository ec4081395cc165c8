#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {
namespace {

void put(const ToolchainOffer& in, farm::ToolchainOffer& out) {
  out.set_torch_version(in.torch_version);
  out.set_torch_git(in.torch_git);
  out.set_cuda(in.cuda);
  out.set_triton(in.triton);
  out.set_compiler(in.compiler);
  out.set_libc(in.libc);
  out.set_recipe_sha256(in.recipe_sha256);
}

ToolchainOffer get(const farm::ToolchainOffer& in, WireReader& read) {
  ToolchainOffer out;
  out.torch_version = read.label(in.torch_version(), "ToolchainOffer.torch_version");
  out.torch_git = read.label(in.torch_git(), "ToolchainOffer.torch_git");
  out.cuda = read.label(in.cuda(), "ToolchainOffer.cuda");
  out.triton = read.label(in.triton(), "ToolchainOffer.triton");
  out.compiler = read.label(in.compiler(), "ToolchainOffer.compiler");
  out.libc = read.label(in.libc(), "ToolchainOffer.libc");
  out.recipe_sha256 = read.digest(in.recipe_sha256(), "ToolchainOffer.recipe_sha256");
  return out;
}

void put(const RunningTask& in, farm::RunningTask& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  out.set_lane(in.lane.value);
}

RunningTask get(const farm::RunningTask& in, WireReader&) {
  RunningTask out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.lane.value = in.lane();
  return out;
}

void put(const WorkerHello& in, farm::WorkerHello& out) {
  out.set_worker(in.worker);
  out.set_instance(in.instance);
  out.set_cores(in.cores);
  out.set_memory_bytes(in.memory_bytes);
  out.set_pool(in.pool);
  for (const auto& item : in.lanes) put(item, *out.add_lanes());
  out.set_compiles(in.compiles);
  put(in.toolchain, *out.mutable_toolchain());
  out.set_signing_key(in.signing_key);
  for (const auto& item : in.running) put(item, *out.add_running());
  out.set_leaving(in.leaving);
  out.set_host(in.host);
  out.set_compiles_at_once(in.compiles_at_once);
}

WorkerHello get(const farm::WorkerHello& in, WireReader& read) {
  WorkerHello out;
  out.worker = read.worker(in.worker(), "WorkerHello.worker");
  out.instance = read.label(in.instance(), "WorkerHello.instance");
  out.cores = read.integer(in.cores(), 0, kCoresMax, "WorkerHello.cores");
  out.memory_bytes = read.bytes(in.memory_bytes(), "WorkerHello.memory_bytes");
  out.pool = read.label(in.pool(), "WorkerHello.pool");
  if (read.may_hold(in.lanes().size(), kLanesMax, "WorkerHello.lanes")) {
    for (const auto& item : in.lanes()) out.lanes.push_back(get(item, read));
  }
  out.compiles = in.compiles();
  out.toolchain = get(in.toolchain(), read);
  out.signing_key = read.document(in.signing_key(), kKeysBytesMax, "WorkerHello.signing_key");
  if (read.may_hold(in.running().size(), kTasksListedMax, "WorkerHello.running")) {
    for (const auto& item : in.running()) out.running.push_back(get(item, read));
  }
  out.leaving = in.leaving();
  out.host = read.label(in.host(), "WorkerHello.host");
  out.compiles_at_once = read.integer(in.compiles_at_once(), 0, static_cast<int>(kLanesMax), "WorkerHello.compiles_at_once");
  return out;
}

void put(const Heartbeat& in, farm::Heartbeat& out) {
  out.set_memory_available_bytes(in.memory_available_bytes);
  for (const auto& item : in.running) put(item, *out.add_running());
  out.set_leaving(in.leaving);
  for (const LaneId lane : in.waiting_lanes) out.add_waiting_lanes(lane.value);
}

Heartbeat get(const farm::Heartbeat& in, WireReader& read) {
  Heartbeat out;
  out.memory_available_bytes = read.bytes(in.memory_available_bytes(), "Heartbeat.memory_available_bytes");
  if (read.may_hold(in.running().size(), kTasksListedMax, "Heartbeat.running")) {
    for (const auto& item : in.running()) out.running.push_back(get(item, read));
  }
  out.leaving = in.leaving();
  if (read.may_hold(in.waiting_lanes().size(), kLanesMax, "Heartbeat.waiting_lanes")) {
    for (const auto lane : in.waiting_lanes()) out.waiting_lanes.push_back(LaneId{lane});
  }
  return out;
}

void put(const LaneChanged& in, farm::LaneChanged& out) {
  put(in.offer, *out.mutable_offer());
  out.set_up(in.up);
  out.set_why(one_line(in.why));
}

LaneChanged get(const farm::LaneChanged& in, WireReader& read) {
  LaneChanged out;
  out.offer = get(in.offer(), read);
  out.up = in.up();
  out.why = read.text(in.why(), "LaneChanged.why");
  return out;
}

void put(const TaskProgress& in, farm::TaskProgress& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  out.set_frames_done(in.frames_done);
  out.set_frames_compiled(in.frames_compiled);
  out.set_resident_bytes(in.resident_bytes);
  if (!in.stage.stage.empty()) put(in.stage, *out.mutable_stage());
}

TaskProgress get(const farm::TaskProgress& in, WireReader& read) {
  TaskProgress out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.frames_done = read.frames(in.frames_done(), "TaskProgress.frames_done");
  out.frames_compiled = read.frames(in.frames_compiled(), "TaskProgress.frames_compiled");
  out.resident_bytes = read.bytes(in.resident_bytes(), "TaskProgress.resident_bytes");
  out.stage = get(in.stage(), read);
  return out;
}

void put(const TaskDone& in, farm::TaskDone& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  put(in.result, *out.mutable_result());
  put(in.log, *out.mutable_log());
}

TaskDone get(const farm::TaskDone& in, WireReader& read) {
  TaskDone out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.result = get(in.result(), read);
  out.log = get(in.log(), read);
  return out;
}

void put(const TaskFailed& in, farm::TaskFailed& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  put(in.fault, *out.mutable_fault());
  put(in.log, *out.mutable_log());
}

TaskFailed get(const farm::TaskFailed& in, WireReader& read) {
  TaskFailed out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.fault = get(in.fault(), read);
  out.log = get(in.log(), read);
  return out;
}

void put(const AskRenewal&, farm::AskRenewal&) {}
AskRenewal get(const farm::AskRenewal&, WireReader&) { return {}; }

void put(const Goodbye&, farm::Goodbye&) {}
Goodbye get(const farm::Goodbye&, WireReader&) { return {}; }

struct FromWorkerPut {
  farm::FromWorker& out;
  void operator()(const WorkerHello& in) const { put(in, *out.mutable_hello()); }
  void operator()(const Heartbeat& in) const { put(in, *out.mutable_heartbeat()); }
  void operator()(const LaneChanged& in) const { put(in, *out.mutable_lane_changed()); }
  void operator()(const TaskProgress& in) const { put(in, *out.mutable_progress()); }
  void operator()(const TaskDone& in) const { put(in, *out.mutable_done()); }
  void operator()(const TaskFailed& in) const { put(in, *out.mutable_failed()); }
  void operator()(const AskRenewal& in) const { put(in, *out.mutable_ask_renewal()); }
  void operator()(const Goodbye& in) const { put(in, *out.mutable_goodbye()); }
};

}  // namespace

void put(const FromWorker& in, farm::FromWorker& out) { std::visit(FromWorkerPut{out}, in); }

FromWorker get(const farm::FromWorker& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::FromWorker::kHello:
      return get(in.hello(), read);
    case farm::FromWorker::kHeartbeat:
      return get(in.heartbeat(), read);
    case farm::FromWorker::kLaneChanged:
      return get(in.lane_changed(), read);
    case farm::FromWorker::kProgress:
      return get(in.progress(), read);
    case farm::FromWorker::kDone:
      return get(in.done(), read);
    case farm::FromWorker::kFailed:
      return get(in.failed(), read);
    case farm::FromWorker::kAskRenewal:
      return get(in.ask_renewal(), read);
    case farm::FromWorker::kGoodbye:
      return get(in.goodbye(), read);
    case farm::FromWorker::BODY_NOT_SET:
      break;
  }
  read.refuse("FromWorker", "holds nothing that this program knows");
  return {};
}

}  // namespace kiln::net
