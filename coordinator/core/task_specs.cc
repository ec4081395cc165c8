// What a lane is told of a task.
#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator {
namespace {

using net::TaskKind;

net::ProbeSpec probe_spec(const Turn& turn, const JobRecord& job, const TaskRecord& task) {
  const net::ClipRequest& clip = job.request.clips[task.clip];
  ProbeBudgets budgets = probe_budgets(turn, job);
  return {clip.source, clip.output, std::move(budgets.hosts_bytes), probe_dtypes(turn, job), std::move(budgets.cards_bytes)};
}

net::SegmentSpec segment_spec(const Turn& turn, const JobRecord& job, const TaskRecord& task) {
  const net::ClipRequest& request = job.request.clips[task.clip];
  const ClipRecord& clip = job.clips[task.clip];
  net::SegmentSpec out;
  out.source = request.source;
  out.output = request.output;
  out.description = clip.probe->description;
  out.first = task.first;
  out.last = task.last;
  out.tile_height = clip.plan->tile.height;
  out.tile_width = clip.plan->tile.width;
  out.output_width = clip.probe->output_width;
  out.output_height = clip.probe->output_height;
  out.output_pixel_format = clip.probe->output_pixel_format;
  out.executor = job.request.executor;
  out.dtype = clip.plan->tile.dtype;
  out.activation_bytes = clip.plan->tile.activation_bytes;
  out.card_bytes = clip.plan->tile.card_bytes;
  out.artifact_key = clip.plan->artifact_key;
  out.encoder_threads = clip.plan->encoder_threads;
  out.output.encoder = clip.plan->encoder;
  const auto artifact = turn.durable().artifacts.find(out.artifact_key);
  out.artifact_ready = artifact != turn.durable().artifacts.end() && artifact->second.state == ArtifactState::kReady;
  return out;
}

net::JoinSpec join_spec(const JobRecord& job, const TaskRecord& task) {
  const net::ClipRequest& request = job.request.clips[task.clip];
  const ClipRecord& clip = job.clips[task.clip];
  net::JoinSpec out;
  out.source = request.source;
  out.output = request.output;
  out.description = clip.probe->description;
  out.output_width = clip.probe->output_width;
  out.output_height = clip.probe->output_height;
  out.output_pixel_format = clip.probe->output_pixel_format;
  out.encoder_threads = clip.plan->encoder_threads;
  out.output.encoder = clip.plan->encoder;
  for (const auto& [first, segment] : clip.finished) out.segments.push_back({segment.segment, segment.last - segment.first});
  return out;
}

net::CompileSpec compile_spec(const Turn& turn, const TaskRecord& task) {
  const net::CompileWanted& wanted = turn.durable().artifacts.at(task.key).wanted;
  net::CompileSpec out{wanted.key, wanted.graph, wanted.height, wanted.width, wanted.dtype, wanted.settings};
  for (const ClipRecord& clip : turn.job(task.job)->clips) {
    if (clip.plan && clip.plan->artifact_key == wanted.key) out.activation_bytes = clip.plan->tile.activation_bytes;
  }
  return out;
}

}  // namespace

net::Assign make_assign(const Turn& turn, TaskNumber number, const TaskRecord& task) {
  net::Assign out;
  out.task = number;
  out.attempt = task.attempt;
  out.lane = task.lane.lane;
  out.job = task.job;
  const JobRecord& job = *turn.job(task.job);
  if (task.kind != TaskKind::kNoop) out.package = job.request.package;
  switch (task.kind) {
    case TaskKind::kProbe: out.spec = probe_spec(turn, job, task); break;
    case TaskKind::kCompile: out.spec = compile_spec(turn, task); break;
    case TaskKind::kSegment: out.spec = segment_spec(turn, job, task); break;
    case TaskKind::kJoin: out.spec = join_spec(job, task); break;
    case TaskKind::kNoop: out.spec = net::NoopSpec{}; break;
  }
  return out;
}

}  // namespace kiln::coordinator
