#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {
namespace {

void put(const ClipRequest& in, farm::ClipRequest& out) {
  put(in.source, *out.mutable_source());
  put(in.output, *out.mutable_output());
}

ClipRequest get(const farm::ClipRequest& in, WireReader& read) {
  ClipRequest out;
  out.source = get(in.source(), read);
  out.output = get(in.output(), read);
  return out;
}

void put(const Variant& in, farm::Variant& out) {
  out.set_name(in.name);
  out.set_budget_bytes_max(in.budget_bytes_max);
}

Variant get(const farm::Variant& in, WireReader& read) {
  Variant out;
  out.name = read.label(in.name(), "Variant.name");
  out.budget_bytes_max = read.bytes(in.budget_bytes_max(), "Variant.budget_bytes_max");
  return out;
}

}  // namespace

void put(const JobRequest& in, farm::JobRequest& out) {
  out.set_job(in.job);
  out.set_kind(to_wire<farm::JobKind>(in.kind));
  out.set_title(one_line(in.title));
  out.set_owner(in.owner);
  out.set_pool(in.pool);
  out.set_priority(in.priority);
  out.set_paused(in.paused);
  out.set_executor(in.executor);
  out.set_numerics(in.numerics);
  if (in.precision != "auto") out.set_precision(in.precision);
  if (is_said(in.compile)) put(in.compile, *out.mutable_compile());
  out.set_segment_frames(in.segment_frames);
  for (const auto& item : in.depends_on) out.add_depends_on(item);
  for (const auto& item : in.variants) put(item, *out.add_variants());
  put(in.package, *out.mutable_package());
  out.set_manifest(in.manifest);
  for (const auto& item : in.clips) put(item, *out.add_clips());
  out.set_noop_tasks(in.noop_tasks);
}

JobRequest get(const farm::JobRequest& in, WireReader& read) {
  JobRequest out;
  out.job = read.job(in.job(), "JobRequest.job");
  out.kind = read.enumerator(in.kind(), JobKind::kGenerate, "JobRequest.kind");
  out.title = read.text(in.title(), "JobRequest.title");
  out.owner = read.label(in.owner(), "JobRequest.owner");
  out.pool = read.label(in.pool(), "JobRequest.pool");
  out.priority = read.integer(in.priority(), -kPriorityMax, kPriorityMax, "JobRequest.priority");
  out.paused = in.paused();
  out.executor = read.executor(in.executor(), "JobRequest.executor");
  out.numerics = read.numerics(in.numerics(), "JobRequest.numerics");
  out.precision = read.precision(in.precision(), "JobRequest.precision");
  out.compile = get(in.compile(), read);
  out.segment_frames = read.frames(in.segment_frames(), "JobRequest.segment_frames");
  if (read.may_hold(in.depends_on().size(), kDependenciesMax, "JobRequest.depends_on")) {
    for (const auto& item : in.depends_on()) out.depends_on.push_back(read.job(item, "JobRequest.depends_on"));
  }
  if (read.may_hold(in.variants().size(), kVariantsMax, "JobRequest.variants")) {
    for (const auto& item : in.variants()) out.variants.push_back(get(item, read));
  }
  out.package = get(in.package(), read);
  out.manifest = read.document(in.manifest(), kManifestBytesMax, "JobRequest.manifest");
  if (read.may_hold(in.clips().size(), kClipsMax, "JobRequest.clips")) {
    for (const auto& item : in.clips()) out.clips.push_back(get(item, read));
  }
  out.noop_tasks = read.integer64(in.noop_tasks(), 0, kNoopTasksMax, "JobRequest.noop_tasks");
  return out;
}

namespace {

void put(const Submit& in, farm::Submit& out) {
  put(in.request, *out.mutable_request());
}

Submit get(const farm::Submit& in, WireReader& read) {
  Submit out;
  out.request = get(in.request(), read);
  return out;
}

void put(const AskGrants& in, farm::AskGrants& out) {
  out.set_job(in.job);
  out.set_write(in.write);
}

AskGrants get(const farm::AskGrants& in, WireReader& read) {
  AskGrants out;
  out.job = read.job(in.job(), "AskGrants.job");
  out.write = in.write();
  return out;
}

void put(const ListJobs& in, farm::ListJobs& out) {
  out.set_all(in.all);
}

ListJobs get(const farm::ListJobs& in, WireReader&) {
  ListJobs out;
  out.all = in.all();
  return out;
}

void put(const GetJob& in, farm::GetJob& out) {
  out.set_job(in.job);
  out.set_after_revision(in.after_revision);
  out.set_wait_ms(in.wait_ms);
  out.set_detail(to_wire<farm::JobDetail>(in.detail));
  out.set_first_clip(in.first_clip);
  out.set_clips_max(in.clips_max);
  out.set_from_frame(in.from_frame);
  out.set_segments_max(in.segments_max);
}

GetJob get(const farm::GetJob& in, WireReader& read) {
  GetJob out;
  out.job = read.job(in.job(), "GetJob.job");
  out.after_revision = in.after_revision();
  out.wait_ms = in.wait_ms();
  // A client that does not know of it gets everything.
  if (in.detail() != 0) out.detail = read.enumerator(in.detail(), JobDetail::kFrames, "GetJob.detail");
  out.first_clip = in.first_clip();
  out.clips_max = in.clips_max();
  out.from_frame = read.frames(in.from_frame(), "GetJob.from_frame");
  out.segments_max = in.segments_max();
  return out;
}

void put(const ControlJob& in, farm::ControlJob& out) {
  out.set_job(in.job);
  out.set_verb(to_wire<farm::JobVerb>(in.verb));
}

ControlJob get(const farm::ControlJob& in, WireReader& read) {
  ControlJob out;
  out.job = read.job(in.job(), "ControlJob.job");
  out.verb = read.enumerator(in.verb(), JobVerb::kRemove, "ControlJob.verb");
  return out;
}

void put(const ListWorkers&, farm::ListWorkers&) {}
ListWorkers get(const farm::ListWorkers&, WireReader&) { return {}; }

void put(const Drain& in, farm::Drain& out) {
  out.set_worker(in.worker);
  out.set_on(in.on);
  out.set_leave(in.leave);
}

Drain get(const farm::Drain& in, WireReader& read) {
  Drain out;
  out.worker = read.worker(in.worker(), "Drain.worker");
  out.on = in.on();
  out.leave = in.leave();
  return out;
}

void put(const Explain& in, farm::Explain& out) {
  out.set_task(in.task);
  out.set_job(in.job);
}

Explain get(const farm::Explain& in, WireReader& read) {
  Explain out;
  out.task = in.task();
  out.job = read.job_or_none(in.job(), "Explain.job");
  return out;
}

void put(const GetLogs& in, farm::GetLogs& out) {
  out.set_task(in.task);
}

GetLogs get(const farm::GetLogs& in, WireReader&) {
  GetLogs out;
  out.task = in.task();
  return out;
}

void put(const GetTrace& in, farm::GetTrace& out) {
  out.set_job(in.job);
}

GetTrace get(const farm::GetTrace& in, WireReader& read) {
  GetTrace out;
  out.job = read.job(in.job(), "GetTrace.job");
  return out;
}

void put(const GetStatus&, farm::GetStatus&) {}
GetStatus get(const farm::GetStatus&, WireReader&) { return {}; }

struct ClientRequestPut {
  farm::ClientRequest& out;
  void operator()(const Submit& in) const { put(in, *out.mutable_submit()); }
  void operator()(const AskGrants& in) const { put(in, *out.mutable_ask_grants()); }
  void operator()(const ListJobs& in) const { put(in, *out.mutable_list_jobs()); }
  void operator()(const GetJob& in) const { put(in, *out.mutable_get_job()); }
  void operator()(const ControlJob& in) const { put(in, *out.mutable_control_job()); }
  void operator()(const ListWorkers& in) const { put(in, *out.mutable_list_workers()); }
  void operator()(const Drain& in) const { put(in, *out.mutable_drain()); }
  void operator()(const Explain& in) const { put(in, *out.mutable_explain()); }
  void operator()(const GetLogs& in) const { put(in, *out.mutable_get_logs()); }
  void operator()(const GetTrace& in) const { put(in, *out.mutable_get_trace()); }
  void operator()(const GetStatus& in) const { put(in, *out.mutable_get_status()); }
};

}  // namespace

void put(const ClientRequest& in, farm::ClientRequest& out) { std::visit(ClientRequestPut{out}, in); }

ClientRequest get(const farm::ClientRequest& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::ClientRequest::kSubmit:
      return get(in.submit(), read);
    case farm::ClientRequest::kAskGrants:
      return get(in.ask_grants(), read);
    case farm::ClientRequest::kListJobs:
      return get(in.list_jobs(), read);
    case farm::ClientRequest::kGetJob:
      return get(in.get_job(), read);
    case farm::ClientRequest::kControlJob:
      return get(in.control_job(), read);
    case farm::ClientRequest::kListWorkers:
      return get(in.list_workers(), read);
    case farm::ClientRequest::kDrain:
      return get(in.drain(), read);
    case farm::ClientRequest::kExplain:
      return get(in.explain(), read);
    case farm::ClientRequest::kGetLogs:
      return get(in.get_logs(), read);
    case farm::ClientRequest::kGetTrace:
      return get(in.get_trace(), read);
    case farm::ClientRequest::kGetStatus:
      return get(in.get_status(), read);
    case farm::ClientRequest::BODY_NOT_SET:
      break;
  }
  read.refuse("ClientRequest", "holds nothing that this program knows");
  return {};
}

}  // namespace kiln::net
