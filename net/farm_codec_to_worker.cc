#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {
namespace {

// Those of Error, which is no type of this namespace.
using net::get;
using net::put;

void put(const Welcome& in, farm::Welcome& out) {
  out.set_epoch(in.epoch);
  out.set_heartbeat_ms(in.heartbeat_ms);
  out.set_store_url(one_line(in.store_url));
  out.set_read_query(one_line(in.read_query));
  out.set_write_query(one_line(in.write_query));
  out.set_expires_unix_s(in.expires_unix_s);
  out.set_trusted_keys(in.trusted_keys);
}

Welcome get(const farm::Welcome& in, WireReader& read) {
  Welcome out;
  out.epoch = read.label(in.epoch(), "Welcome.epoch");
  out.heartbeat_ms = in.heartbeat_ms();
  out.store_url = read.text(in.store_url(), "Welcome.store_url");
  out.read_query = read.text(in.read_query(), "Welcome.read_query");
  out.write_query = read.text(in.write_query(), "Welcome.write_query");
  out.expires_unix_s = read.count(in.expires_unix_s(), "Welcome.expires_unix_s");
  out.trusted_keys = read.document(in.trusted_keys(), kKeysBytesMax, "Welcome.trusted_keys");
  return out;
}

void put(const Assign& in, farm::Assign& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  out.set_lane(in.lane.value);
  out.set_job(in.job);
  put(in.package, *out.mutable_package());
  out.set_write_query(one_line(in.write_query));
  put(in.spec, *out.mutable_spec());
}

Assign get(const farm::Assign& in, WireReader& read) {
  Assign out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.lane.value = in.lane();
  out.job = read.job(in.job(), "Assign.job");
  out.package = get(in.package(), read);
  out.write_query = read.text(in.write_query(), "Assign.write_query");
  out.spec = get(in.spec(), read);
  return out;
}

void put(const CancelTask& in, farm::CancelTask& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  out.set_why(one_line(in.why));
}

CancelTask get(const farm::CancelTask& in, WireReader& read) {
  CancelTask out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.why = read.text(in.why(), "CancelTask.why");
  return out;
}

void put(const ResultTaken& in, farm::ResultTaken& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
}

ResultTaken get(const farm::ResultTaken& in, WireReader&) {
  ResultTaken out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  return out;
}

void put(const ArtifactReady& in, farm::ArtifactReady& out) {
  out.set_key(in.key);
}

ArtifactReady get(const farm::ArtifactReady& in, WireReader& read) {
  ArtifactReady out;
  out.key = read.key(in.key(), "ArtifactReady.key");
  return out;
}

void put(const DrainWorker& in, farm::DrainWorker& out) {
  out.set_on(in.on);
  out.set_leave(in.leave);
}

DrainWorker get(const farm::DrainWorker& in, WireReader&) {
  DrainWorker out;
  out.on = in.on();
  out.leave = in.leave();
  return out;
}

void put(const WorkerRefused& in, farm::WorkerRefused& out) {
  put(in.error, *out.mutable_error());
}

WorkerRefused get(const farm::WorkerRefused& in, WireReader& read) {
  WorkerRefused out;
  out.error = get(in.error(), read);
  return out;
}

struct ToWorkerPut {
  farm::ToWorker& out;
  void operator()(const Welcome& in) const { put(in, *out.mutable_welcome()); }
  void operator()(const Assign& in) const { put(in, *out.mutable_assign()); }
  void operator()(const CancelTask& in) const { put(in, *out.mutable_cancel()); }
  void operator()(const ResultTaken& in) const { put(in, *out.mutable_result_taken()); }
  void operator()(const ArtifactReady& in) const { put(in, *out.mutable_artifact_ready()); }
  void operator()(const DrainWorker& in) const { put(in, *out.mutable_drain()); }
  void operator()(const WorkerRefused& in) const { put(in, *out.mutable_refused()); }
};

}  // namespace

void put(const ToWorker& in, farm::ToWorker& out) { std::visit(ToWorkerPut{out}, in); }

ToWorker get(const farm::ToWorker& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::ToWorker::kWelcome:
      return get(in.welcome(), read);
    case farm::ToWorker::kAssign:
      return get(in.assign(), read);
    case farm::ToWorker::kCancel:
      return get(in.cancel(), read);
    case farm::ToWorker::kResultTaken:
      return get(in.result_taken(), read);
    case farm::ToWorker::kArtifactReady:
      return get(in.artifact_ready(), read);
    case farm::ToWorker::kDrain:
      return get(in.drain(), read);
    case farm::ToWorker::kRefused:
      return get(in.refused(), read);
    case farm::ToWorker::BODY_NOT_SET:
      break;
  }
  read.refuse("ToWorker", "holds nothing that this program knows");
  return {};
}

}  // namespace kiln::net
