// Tasks and clips as snapshots hold them. Texts are written as they are: what is read back must be equal, whoever reads it.
#include "net/farm_codec_records.h"

#include <algorithm>

#include "net/kiln.pb.h"
#include "net/farm_snapshot.pb.h"

namespace kiln::net {

void put(const LaneName& in, farm::SnapshotLane& out) {
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
}

LaneName get(const farm::SnapshotLane& in, WireReader& read) {
  return {read.worker_or_none(in.worker(), "SnapshotLane.worker"), LaneId{in.lane()}};
}

namespace {

void put(const AttemptRecord& in, farm::SnapshotAttempt& out) {
  out.set_attempt(in.attempt.value);
  put(in.lane, *out.mutable_lane());
  out.set_start_s(in.start_s);
  out.set_end_s(in.end_s);
  out.set_outcome(in.outcome);
  if (in.log != BlobRef{}) put(in.log, *out.mutable_log());
}

AttemptRecord get(const farm::SnapshotAttempt& in, WireReader& read) {
  AttemptRecord out;
  out.attempt.value = in.attempt();
  out.lane = get(in.lane(), read);
  out.start_s = read.number(in.start_s(), "SnapshotAttempt.start_s");
  out.end_s = read.number(in.end_s(), "SnapshotAttempt.end_s");
  out.outcome = read.document(in.outcome(), kStateTextBytesMax, "SnapshotAttempt.outcome");
  if (in.has_log()) out.log = get(in.log(), read);
  return out;
}

template <typename Result>
std::optional<Result> result_of(bool has, const farm::TaskResult& in, WireReader& read, std::string_view field) {
  if (!has) return std::nullopt;
  TaskResult result = get(in, read);
  if (auto* found = std::get_if<Result>(&result)) return std::move(*found);
  read.refuse(field, "is the result of another kind of task");
  return std::nullopt;
}

}  // namespace

void put(const TaskRecord& in, farm::SnapshotTask& out) {
  out.set_kind(to_wire<farm::TaskKind>(in.kind));
  out.set_job(in.job);
  out.set_clip(in.clip);
  out.set_first(in.first);
  out.set_last(in.last);
  out.set_key(in.key);
  out.set_state(to_wire<farm::SnapshotTaskState>(in.state));
  out.set_attempt(in.attempt.value);
  if (in.lane != LaneName{}) put(in.lane, *out.mutable_lane());
  for (const auto& [kind, count] : in.failures) {
    auto& one = *out.add_failures();
    one.set_kind(to_wire<farm::FailureKind>(kind));
    one.set_count(count);
  }
  for (const LaneName& lane : in.failed_on) put(lane, *out.add_failed_on());
  out.set_last_message(in.last_message);
  for (const AttemptRecord& attempt : in.attempts) put(attempt, *out.add_attempts());
}

TaskRecord get(const farm::SnapshotTask& in, WireReader& read) {
  TaskRecord out;
  out.kind = read.enumerator(in.kind(), TaskKind::kNoop, "SnapshotTask.kind");
  out.job = read.job(in.job(), "SnapshotTask.job");
  out.clip = in.clip();
  out.first = read.frames(in.first(), "SnapshotTask.first");
  out.last = read.frames(in.last(), "SnapshotTask.last");
  out.key = read.digest(in.key(), "SnapshotTask.key");
  out.state = read.enumerator(in.state(), TaskState::kCancelled, "SnapshotTask.state");
  out.attempt.value = in.attempt();
  if (in.has_lane()) out.lane = get(in.lane(), read);
  for (const auto& one : in.failures()) {
    out.failures[read.enumerator(one.kind(), FailureKind::kStoreFull, "SnapshotFailures.kind")] = one.count();
  }
  for (const auto& lane : in.failed_on()) out.failed_on.insert(get(lane, read));
  out.last_message = read.document(in.last_message(), kStateTextBytesMax, "SnapshotTask.last_message");
  out.attempts.reserve(static_cast<std::size_t>(in.attempts_size()));
  for (const auto& attempt : in.attempts()) out.attempts.push_back(get(attempt, read));
  return out;
}

void put(const ClipRecord& in, farm::SnapshotClip& out) {
  out.set_probe_task(in.probe_task);
  if (in.probe) put(TaskResult(*in.probe), *out.mutable_probe());
  if (in.plan) put(*in.plan, *out.mutable_plan());
  out.set_frontier(in.frontier);
  out.set_frames_done(in.frames_done);
  if (in.result) put(TaskResult(*in.result), *out.mutable_result());
  for (const auto& [first, task] : in.segments) {
    out.add_segment_first(first);
    out.add_segment_task(task);
  }
}

ClipRecord get(const farm::SnapshotClip& in, WireReader& read) {
  ClipRecord out;
  out.probe_task = in.probe_task();
  out.probe = result_of<ProbeResult>(in.has_probe(), in.probe(), read, "SnapshotClip.probe");
  if (in.has_plan()) out.plan = get(in.plan(), read);
  out.frontier = read.frames(in.frontier(), "SnapshotClip.frontier");
  out.frames_done = read.frames(in.frames_done(), "SnapshotClip.frames_done");
  out.result = result_of<JoinResult>(in.has_result(), in.result(), read, "SnapshotClip.result");
  if (in.segment_first_size() != in.segment_task_size()) read.refuse("SnapshotClip.segment_task", "is of another length");
  const int segments = std::min(in.segment_first_size(), in.segment_task_size());
  for (int i = 0; i < segments; ++i) {
    out.segments.emplace_hint(out.segments.end(), read.frames(in.segment_first(i), "SnapshotClip.segment_first"),
                              in.segment_task(i));
  }
  return out;
}

}  // namespace kiln::net
