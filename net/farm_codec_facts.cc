#include "net/farm_codec.h"

#include "net/kiln.pb.h"
#include "net/farm_codec_wire.h"

namespace kiln::net {

void put(const ClipPlanned& in, farm::ClipPlanned& out) {
  out.set_job(in.job);
  out.set_clip(in.clip);
  put(in.kind, *out.mutable_kind());
  put(in.tile, *out.mutable_tile());
  out.set_variant(in.variant);
  out.set_artifact_key(in.artifact_key);
  out.set_join_task(in.join_task);
  out.set_reason(one_line(in.reason));
  out.set_encoder_threads(in.encoder_threads);
  out.set_encoder(in.encoder);
}

ClipPlanned get(const farm::ClipPlanned& in, WireReader& read) {
  ClipPlanned out;
  out.job = read.job(in.job(), "ClipPlanned.job");
  out.clip = in.clip();
  out.kind = get(in.kind(), read);
  out.tile = get(in.tile(), read);
  out.variant = read.label(in.variant(), "ClipPlanned.variant");
  out.artifact_key = read.digest(in.artifact_key(), "ClipPlanned.artifact_key");
  out.join_task = in.join_task();
  out.reason = read.text(in.reason(), "ClipPlanned.reason");
  out.encoder_threads = read.integer(in.encoder_threads(), 0, kThreadsMax, "ClipPlanned.encoder_threads");
  out.encoder = read.word(in.encoder(), "ClipPlanned.encoder");
  return out;
}

void put(const CompileWanted& in, farm::CompileWanted& out) {
  out.set_task(in.task);
  out.set_key(in.key);
  put(in.kind, *out.mutable_kind());
  out.set_job(in.job);
  out.set_graph(in.graph);
  out.set_height(in.height);
  out.set_width(in.width);
  out.set_dtype(wire_dtype(in.dtype));
  if (is_said(in.settings)) put(in.settings, *out.mutable_settings());
}

CompileWanted get(const farm::CompileWanted& in, WireReader& read) {
  CompileWanted out;
  out.task = in.task();
  out.key = read.key(in.key(), "CompileWanted.key");
  out.kind = get(in.kind(), read);
  out.job = read.job(in.job(), "CompileWanted.job");
  out.graph = in.graph();
  out.height = read.side32(in.height(), "CompileWanted.height");
  out.width = read.side32(in.width(), "CompileWanted.width");
  out.dtype = read.dtype(in.dtype(), "CompileWanted.dtype");
  out.settings = get(in.settings(), read);
  return out;
}

void put(const EnvelopeLearned& in, farm::EnvelopeLearned& out) {
  put(in.kind, *out.mutable_kind());
  out.set_graph_sha256(in.graph_sha256);
  out.set_height(in.height);
  out.set_width(in.width);
  out.set_budget_bytes_min(in.budget_bytes_min);
}

EnvelopeLearned get(const farm::EnvelopeLearned& in, WireReader& read) {
  EnvelopeLearned out;
  out.kind = get(in.kind(), read);
  out.graph_sha256 = read.digest(in.graph_sha256(), "EnvelopeLearned.graph_sha256");
  out.height = read.side32(in.height(), "EnvelopeLearned.height");
  out.width = read.side32(in.width(), "EnvelopeLearned.width");
  out.budget_bytes_min = read.bytes(in.budget_bytes_min(), "EnvelopeLearned.budget_bytes_min");
  return out;
}

namespace {

void put(const JobAccepted& in, farm::JobAccepted& out) {
  put(in.request, *out.mutable_request());
  out.set_first_task(in.first_task);
  out.set_at_s(finite(in.at_s));
}

JobAccepted get(const farm::JobAccepted& in, WireReader& read) {
  JobAccepted out;
  out.request = get(in.request(), read);
  out.first_task = in.first_task();
  out.at_s = read.number(in.at_s(), "JobAccepted.at_s");
  return out;
}

void put(const Assigned& in, farm::Assigned& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  out.set_kind(to_wire<farm::TaskKind>(in.kind));
  out.set_job(in.job);
  out.set_clip(in.clip);
  out.set_first(in.first);
  out.set_last(in.last);
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
  out.set_at_s(finite(in.at_s));
  out.set_reason(one_line(in.reason));
}

Assigned get(const farm::Assigned& in, WireReader& read) {
  Assigned out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.kind = read.enumerator(in.kind(), TaskKind::kNoop, "Assigned.kind");
  out.job = read.job(in.job(), "Assigned.job");
  out.clip = in.clip();
  out.first = read.frames(in.first(), "Assigned.first");
  out.last = read.frames(in.last(), "Assigned.last");
  out.worker = read.worker(in.worker(), "Assigned.worker");
  out.lane.value = in.lane();
  out.at_s = read.number(in.at_s(), "Assigned.at_s");
  out.reason = read.text(in.reason(), "Assigned.reason");
  if (out.first > out.last) read.refuse("Assigned.last", "is before the first frame");
  return out;
}

void put(const ResultAccepted& in, farm::ResultAccepted& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  put(in.result, *out.mutable_result());
  put(in.log, *out.mutable_log());
  out.set_at_s(finite(in.at_s));
}

ResultAccepted get(const farm::ResultAccepted& in, WireReader& read) {
  ResultAccepted out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.result = get(in.result(), read);
  out.log = get(in.log(), read);
  out.at_s = read.number(in.at_s(), "ResultAccepted.at_s");
  return out;
}

void put(const AttemptEnded& in, farm::AttemptEnded& out) {
  out.set_task(in.task);
  out.set_attempt(in.attempt.value);
  put(in.fault, *out.mutable_fault());
  put(in.log, *out.mutable_log());
  out.set_final(in.final);
  out.set_at_s(finite(in.at_s));
}

AttemptEnded get(const farm::AttemptEnded& in, WireReader& read) {
  AttemptEnded out;
  out.task = in.task();
  out.attempt.value = in.attempt();
  out.fault = get(in.fault(), read);
  out.log = get(in.log(), read);
  out.final = in.final();
  out.at_s = read.number(in.at_s(), "AttemptEnded.at_s");
  return out;
}

void put(const JobControlled& in, farm::JobControlled& out) {
  out.set_job(in.job);
  out.set_verb(to_wire<farm::JobVerb>(in.verb));
  out.set_at_s(finite(in.at_s));
}

JobControlled get(const farm::JobControlled& in, WireReader& read) {
  JobControlled out;
  out.job = read.job(in.job(), "JobControlled.job");
  out.verb = read.enumerator(in.verb(), JobVerb::kRemove, "JobControlled.verb");
  out.at_s = read.number(in.at_s(), "JobControlled.at_s");
  return out;
}

void put(const JobEnded& in, farm::JobEnded& out) {
  out.set_job(in.job);
  out.set_state(to_wire<farm::JobState>(in.state));
  out.set_reason(one_line(in.reason));
  out.set_at_s(finite(in.at_s));
  out.set_exit(in.exit);
}

JobEnded get(const farm::JobEnded& in, WireReader& read) {
  JobEnded out;
  out.job = read.job(in.job(), "JobEnded.job");
  out.state = read.enumerator(in.state(), JobState::kCancelled, "JobEnded.state");
  out.reason = read.text(in.reason(), "JobEnded.reason");
  out.at_s = read.number(in.at_s(), "JobEnded.at_s");
  out.exit = read.integer(in.exit(), 0, kExitMax, "JobEnded.exit");
  return out;
}

void put(const LaneSetAside& in, farm::LaneSetAside& out) {
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
  out.set_on(in.on);
  out.set_why(one_line(in.why));
}

LaneSetAside get(const farm::LaneSetAside& in, WireReader& read) {
  LaneSetAside out;
  out.worker = read.worker(in.worker(), "LaneSetAside.worker");
  out.lane.value = in.lane();
  out.on = in.on();
  out.why = read.text(in.why(), "LaneSetAside.why");
  return out;
}

void put(const WorkerDrained& in, farm::WorkerDrained& out) {
  out.set_worker(in.worker);
  out.set_on(in.on);
}

WorkerDrained get(const farm::WorkerDrained& in, WireReader& read) {
  WorkerDrained out;
  out.worker = read.worker(in.worker(), "WorkerDrained.worker");
  out.on = in.on();
  return out;
}

struct FactPut {
  farm::Fact& out;
  void operator()(const JobAccepted& in) const { put(in, *out.mutable_job_accepted()); }
  void operator()(const ClipPlanned& in) const { put(in, *out.mutable_clip_planned()); }
  void operator()(const CompileWanted& in) const { put(in, *out.mutable_compile_wanted()); }
  void operator()(const Assigned& in) const { put(in, *out.mutable_assigned()); }
  void operator()(const ResultAccepted& in) const { put(in, *out.mutable_result_accepted()); }
  void operator()(const AttemptEnded& in) const { put(in, *out.mutable_attempt_ended()); }
  void operator()(const JobControlled& in) const { put(in, *out.mutable_job_controlled()); }
  void operator()(const JobEnded& in) const { put(in, *out.mutable_job_ended()); }
  void operator()(const LaneSetAside& in) const { put(in, *out.mutable_lane_set_aside()); }
  void operator()(const WorkerDrained& in) const { put(in, *out.mutable_worker_drained()); }
  void operator()(const EnvelopeLearned& in) const { put(in, *out.mutable_envelope_learned()); }
};

Fact open(const farm::Fact& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::Fact::kJobAccepted:
      return get(in.job_accepted(), read);
    case farm::Fact::kClipPlanned:
      return get(in.clip_planned(), read);
    case farm::Fact::kCompileWanted:
      return get(in.compile_wanted(), read);
    case farm::Fact::kAssigned:
      return get(in.assigned(), read);
    case farm::Fact::kResultAccepted:
      return get(in.result_accepted(), read);
    case farm::Fact::kAttemptEnded:
      return get(in.attempt_ended(), read);
    case farm::Fact::kJobControlled:
      return get(in.job_controlled(), read);
    case farm::Fact::kJobEnded:
      return get(in.job_ended(), read);
    case farm::Fact::kLaneSetAside:
      return get(in.lane_set_aside(), read);
    case farm::Fact::kWorkerDrained:
      return get(in.worker_drained(), read);
    case farm::Fact::kEnvelopeLearned:
      return get(in.envelope_learned(), read);
    case farm::Fact::BODY_NOT_SET:
      break;
  }
  read.refuse("Fact", "holds nothing that this program knows");
  return {};
}

}  // namespace

std::string encode(const Fact& fact) {
  farm::Fact message;
  message.set_format(kFactFormat);
  std::visit(FactPut{message}, fact);
  return message.SerializeAsString();
}

Result<Fact> decode_fact(std::string_view bytes) {
  farm::Fact message;
  if (bytes.size() > kFactBytesMax || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(make_error(ErrorCode::kDataLoss, "{} bytes are no fact", bytes.size()));
  }
  if (message.format() > kFactFormat) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kVersionMismatch,
                           "a fact has format {}; this program reads formats up to {}: use the newer program",
                           message.format(), kFactFormat));
  }
  WireReader read("fact");
  if (message.format() == 0) read.refuse("Fact.format", "is missing");
  Fact fact = open(message, read);
  KILN_TRY(read.status());
  return fact;
}

}  // namespace kiln::net
