#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {
namespace {

void put(const JobSummary& in, farm::JobSummary& out) {
  out.set_job(in.job);
  out.set_title(one_line(in.title));
  out.set_owner(in.owner);
  out.set_pool(in.pool);
  out.set_priority(in.priority);
  out.set_state(to_wire<farm::JobState>(in.state));
  out.set_reason(one_line(in.reason));
  out.set_frames_total(in.frames_total);
  out.set_frames_done(in.frames_done);
  out.set_submitted_s(finite(in.submitted_s));
  out.set_ended_s(finite(in.ended_s));
  out.set_exit(in.exit);
}

JobSummary get(const farm::JobSummary& in, WireReader& read) {
  JobSummary out;
  out.job = read.job(in.job(), "JobSummary.job");
  out.title = read.text(in.title(), "JobSummary.title");
  out.owner = read.label(in.owner(), "JobSummary.owner");
  out.pool = read.label(in.pool(), "JobSummary.pool");
  out.priority = read.integer(in.priority(), -kPriorityMax, kPriorityMax, "JobSummary.priority");
  out.state = read.enumerator(in.state(), JobState::kCancelled, "JobSummary.state");
  out.reason = read.text(in.reason(), "JobSummary.reason");
  out.frames_total = read.frames(in.frames_total(), "JobSummary.frames_total");
  out.frames_done = read.frames(in.frames_done(), "JobSummary.frames_done");
  out.submitted_s = read.number(in.submitted_s(), "JobSummary.submitted_s");
  out.ended_s = read.number(in.ended_s(), "JobSummary.ended_s");
  out.exit = read.integer(in.exit(), 0, kExitMax, "JobSummary.exit");
  return out;
}

void put(const ClipStatus& in, farm::ClipStatus& out) {
  out.set_source(in.source);
  out.set_output(in.output);
  out.set_width(in.width);
  out.set_height(in.height);
  out.set_frames(in.frames);
  out.set_duration_s(finite(in.duration_s));
  out.set_artifact_key(in.artifact_key);
  for (const auto& item : in.segments) put(item, *out.add_segments());
  put(in.result, *out.mutable_result());
  for (const auto& item : in.warnings) out.add_warnings(one_line(item));
  put(in.kind, *out.mutable_kind());
  out.set_tile_height(in.tile_height);
  out.set_tile_width(in.tile_width);
  out.set_tiles(in.tiles);
  out.set_segments_done(in.segments_done);
}

ClipStatus get(const farm::ClipStatus& in, WireReader& read) {
  ClipStatus out;
  out.source = read.path(in.source(), "ClipStatus.source");
  out.output = read.path(in.output(), "ClipStatus.output");
  out.width = read.side(in.width(), "ClipStatus.width");
  out.height = read.side(in.height(), "ClipStatus.height");
  out.frames = read.frames(in.frames(), "ClipStatus.frames");
  out.duration_s = read.number(in.duration_s(), "ClipStatus.duration_s");
  out.artifact_key = read.digest(in.artifact_key(), "ClipStatus.artifact_key");
  if (read.may_hold(in.segments().size(), kSegmentsMax, "ClipStatus.segments")) {
    for (const auto& item : in.segments()) out.segments.push_back(get(item, read));
  }
  out.result = get(in.result(), read);
  if (read.may_hold(in.warnings().size(), kWarningsMax, "ClipStatus.warnings")) {
    for (const auto& item : in.warnings()) out.warnings.push_back(read.text(item, "ClipStatus.warnings"));
  }
  out.kind = get(in.kind(), read);
  out.tile_height = read.side(in.tile_height(), "ClipStatus.tile_height");
  out.tile_width = read.side(in.tile_width(), "ClipStatus.tile_width");
  out.tiles = read.count(in.tiles(), "ClipStatus.tiles");
  out.segments_done = in.segments_done();
  return out;
}

}  // namespace

void put(const LaneShare& in, farm::LaneShare& out) {
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
  out.set_segments(in.segments);
  out.set_frames(in.frames);
  out.set_decode_s(finite(in.decode_s));
  out.set_model_s(finite(in.model_s));
  out.set_encode_s(finite(in.encode_s));
  out.set_wait_decode_s(finite(in.wait_decode_s));
  out.set_wait_encode_s(finite(in.wait_encode_s));
  out.set_decode_core_s(finite(in.decode_core_s));
  out.set_model_core_s(finite(in.model_core_s));
  out.set_encode_core_s(finite(in.encode_core_s));
}

LaneShare get(const farm::LaneShare& in, WireReader& read) {
  LaneShare out;
  out.worker = read.worker(in.worker(), "LaneShare.worker");
  out.lane.value = in.lane();
  out.segments = read.count(in.segments(), "LaneShare.segments");
  out.frames = read.frames(in.frames(), "LaneShare.frames");
  out.decode_s = read.number(in.decode_s(), "LaneShare.decode_s");
  out.model_s = read.number(in.model_s(), "LaneShare.model_s");
  out.encode_s = read.number(in.encode_s(), "LaneShare.encode_s");
  out.wait_decode_s = read.number(in.wait_decode_s(), "LaneShare.wait_decode_s");
  out.wait_encode_s = read.number(in.wait_encode_s(), "LaneShare.wait_encode_s");
  out.decode_core_s = read.number(in.decode_core_s(), "LaneShare.decode_core_s");
  out.model_core_s = read.number(in.model_core_s(), "LaneShare.model_core_s");
  out.encode_core_s = read.number(in.encode_core_s(), "LaneShare.encode_core_s");
  return out;
}

void put(const JobStatus& in, farm::JobStatus& out) {
  put(in.summary, *out.mutable_summary());
  out.set_revision(in.revision);
  for (const auto& item : in.clips) put(item, *out.add_clips());
  for (const auto& item : in.lanes) put(item, *out.add_lanes());
  for (const auto& item : in.running_tasks) out.add_running_tasks(item);
  out.set_compiles_done(in.compiles);
  out.set_compile_failures(in.compile_failures);
  out.set_store_hits(in.store_hits);
  out.set_compile_s(finite(in.compile_s));
  out.set_attempts_failed(in.attempts_failed);
  out.set_lanes_lost(in.lanes_lost);
  out.set_results_dropped(in.results_dropped);
  out.set_compiling(in.compiling);
  out.set_clips_total(in.clips_total);
  for (const auto& item : in.shots) put(item, *out.add_shots());
}

JobStatus get(const farm::JobStatus& in, WireReader& read) {
  JobStatus out;
  out.summary = get(in.summary(), read);
  out.revision = in.revision();
  if (read.may_hold(in.clips().size(), kClipsMax, "JobStatus.clips")) {
    for (const auto& item : in.clips()) out.clips.push_back(get(item, read));
  }
  if (read.may_hold(in.lanes().size(), kSharesMax, "JobStatus.lanes")) {
    for (const auto& item : in.lanes()) out.lanes.push_back(get(item, read));
  }
  if (read.may_hold(in.running_tasks().size(), kTasksListedMax, "JobStatus.running_tasks")) {
    for (const auto& item : in.running_tasks()) out.running_tasks.push_back(item);
  }
  out.compiles = in.compiles_done();
  out.compile_failures = in.compile_failures();
  out.store_hits = in.store_hits();
  out.compile_s = read.number(in.compile_s(), "JobStatus.compile_s");
  out.attempts_failed = in.attempts_failed();
  out.lanes_lost = in.lanes_lost();
  out.results_dropped = in.results_dropped();
  out.compiling = in.compiling();
  out.clips_total = in.clips_total();
  if (read.may_hold(in.shots().size(), kTasksListedMax, "JobStatus.shots")) {
    for (const auto& item : in.shots()) out.shots.push_back(get(item, read));
  }
  return out;
}

void put(const JobList& in, farm::JobList& out) {
  for (const auto& item : in.jobs) put(item, *out.add_jobs());
}

JobList get(const farm::JobList& in, WireReader& read) {
  JobList out;
  if (read.may_hold(in.jobs().size(), kJobsListedMax, "JobList.jobs")) {
    for (const auto& item : in.jobs()) out.jobs.push_back(get(item, read));
  }
  return out;
}

}  // namespace kiln::net
