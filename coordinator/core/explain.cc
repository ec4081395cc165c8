// Why something waits, in one line, and what would unblock it.
#include <fmt/core.h>

#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator {
namespace {

using net::TaskKind;

// The task that its card compiles, while the lane waits for that; 0: it does not wait.
TaskNumber waits_for(const Turn& turn, const LaneName& name) {
  if (!waits_for_compile(turn, name)) return 0;
  const auto& compiles = turn.worker(name.worker)->compiles;
  const auto found = compiles.find(net::compile_lane(name.lane));
  return found == compiles.end() ? 0 : found->second.number;
}

std::string waiting_text(TaskNumber compile) {
  return fmt::format("waits for the compile of its card (task {}), whose memory does not hold both", compile);
}

std::string at_work_text(const Turn& turn, const LaneName& name, const LaneLive& lane) {
  if (const TaskNumber compile = waits_for(turn, name); compile != 0) return waiting_text(compile);
  if (lane.idle()) return "idle";
  std::string out = fmt::format("works on task {}", lane.tasks.front().number);
  for (std::size_t i = 1; i < lane.tasks.size(); ++i) out += fmt::format(", {}", lane.tasks[i].number);
  return out;
}

// The segment that its lane renders first, where it was given this one ahead.
TaskNumber ahead_of(const Turn& turn, TaskNumber number, const TaskRecord& task) {
  const LaneLive* lane = turn.lane(task.lane);
  if (lane == nullptr || task.kind != TaskKind::kSegment) return 0;
  for (const LaneTask& on_lane : lane->tasks) {
    const TaskRecord* other = turn.task(on_lane.number);
    if (on_lane.number == number || other == nullptr) return 0;
    if (other->kind == TaskKind::kSegment) return on_lane.number;
  }
  return 0;
}

std::string running_text(const Turn& turn, TaskNumber number, const TaskRecord& task) {
  if (const TaskNumber compile = waits_for(turn, task.lane); compile != 0) {
    return fmt::format("task {} is on {}, attempt {}; the lane {}", number, lane_text(task.lane), task.attempt.value,
                       waiting_text(compile));
  }
  const TaskNumber first = ahead_of(turn, number, task);
  if (first == 0) return fmt::format("task {} runs on {}, attempt {}", number, lane_text(task.lane), task.attempt.value);
  return fmt::format("task {} is the next of {}, which is at task {}; attempt {}", number, lane_text(task.lane), first,
                     task.attempt.value);
}

// Every lane with the reason why it is not at work on this clip; `busy` counts those of the suitable ones that have a task.
struct LaneReasons {
  std::vector<std::string> lines;
  int suitable = 0;
  int busy = 0;
  bool class_is_here = false;  // a lane of the clip's class, though it may be too small, drained or set aside
  std::string of_class;        // the first line of such a one that does no work at present
  std::string unfit;           // the first line of a lane that could work, but not on this clip
};

LaneReasons lane_reasons(const Turn& turn, const JobRecord& job, const ClipRecord* clip) {
  LaneReasons out;
  const bool planned = clip != nullptr && clip->plan;
  for (const auto& [worker, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      const LaneName name{worker, id};
      auto why = unusable_reason(turn, job, name, lane);
      const bool here = planned && session.connected && !session.leaving && lane.offer.kind == clip->plan->kind;
      out.class_is_here = out.class_is_here || here;
      if (why && here && out.of_class.empty()) out.of_class = fmt::format("{}: {}", lane_text(name), *why);
      if (!why && planned) {
        why = unfit_reason(turn, job, *clip, name, lane);
        if (why && out.unfit.empty()) out.unfit = fmt::format("{}: {}", lane_text(name), *why);
      }
      if (!why) {
        ++out.suitable;
        out.busy += lane.idle() ? 0 : 1;
        why = at_work_text(turn, name, lane);
      }
      out.lines.push_back(fmt::format("{}: {}", lane_text(name), *why));
    }
  }
  return out;
}

// Which lanes would take the clip, where none of its class is here.
std::string class_line(const net::LaneClass& kind, const LaneReasons& lanes) {
  const std::string wanted = class_texts({}, kind).second;
  const std::string start = kind.threads > 0 ? fmt::format("--threads-per-lane {}", kind.threads) : "--device cuda:N";
  return fmt::format("no lane may take it, only those of {} would, and none of them is here (kiln worker {}); {}", wanted, start,
                     lanes.unfit.empty() ? lanes.lines.front() : lanes.unfit);
}

// A compile runs beside the lanes: what they do says nothing about it. Adds a line for each worker.
std::string compile_line(const Turn& turn, const net::CompileWanted& wanted, std::vector<std::string>& lines) {
  std::optional<std::pair<LaneName, TaskNumber>> busy;
  std::size_t busy_count = 0;
  bool idle = false;
  for (const auto& [name, session] : turn.live().workers) {
    const auto why = no_builder_reason(turn, wanted, session);
    if (why) {
      lines.push_back(*why);
    } else if (const auto places = free_compile_places(turn, wanted, session); !places.empty()) {
      idle = true;
      lines.push_back(fmt::format("{}: idle", lane_text({name, places.front()})));
    } else {
      for (const auto& [place, compile] : session.compiles) {
        if (!busy) busy = {LaneName{name, place}, compile.number};
        ++busy_count;
        lines.push_back(fmt::format("{}: works on task {}", lane_text({name, place}), compile.number));
      }
    }
  }
  if (idle) return "it is about to be assigned";
  if (!busy) {
    return fmt::format("no worker here can compile for {}; one would that has such lanes, Python with torch, and g++ "
                       "(kiln worker)", compile_class_text(wanted));
  }
  return fmt::format("it waits for {}, which is at task {}{}", lane_text(busy->first), busy->second,
                     busy_count == 1 ? "" : fmt::format(", or for one of {} others", busy_count - 1));
}

// Of a clip that must be rendered compiled; nothing: its artifact is there. Adds lines of those who may compile.
std::optional<std::string> artifact_line(const Turn& turn, const JobRecord& job, const ClipRecord* clip,
                                         std::vector<std::string>& lines) {
  if (clip == nullptr || !clip->plan || job.request.executor != "compiled") return std::nullopt;
  const auto artifact = turn.durable().artifacts.find(clip->plan->artifact_key);
  if (artifact == turn.durable().artifacts.end() || artifact->second.state != ArtifactState::kWanted) return std::nullopt;
  const net::CompileWanted& wanted = artifact->second.wanted;
  const TaskRecord* task = turn.task(wanted.task);
  if (task != nullptr && task->state == TaskState::kRunning) {
    return fmt::format("it waits for its artifact, which {} compiles for {} (task {})", task->lane.worker,
                       compile_class_text(wanted), wanted.task);
  }
  return fmt::format("it waits for its artifact (task {}): {}", wanted.task, compile_line(turn, wanted, lines));
}

// The answer, and behind it lines of those who may compile where it waits for that.
std::vector<std::string> waiting_lines(const Turn& turn, const JobRecord& job, const ClipRecord* clip,
                                       const LaneReasons& lanes) {
  if (auto blocked = blocked_reason(turn, job)) return {*std::move(blocked)};
  if (lanes.lines.empty()) return {"no worker is connected (kiln worker)"};
  std::vector<std::string> compilers;
  if (auto line = artifact_line(turn, job, clip, compilers)) {
    compilers.insert(compilers.begin(), *std::move(line));
    return compilers;
  }
  if (lanes.suitable == 0) {
    const bool other_class = clip != nullptr && clip->plan && !lanes.class_is_here && job.request.numerics != "tolerant";
    if (other_class) return {class_line(clip->plan->kind, lanes)};
    const std::string& other = lanes.unfit.empty() ? lanes.lines.front() : lanes.unfit;
    return {fmt::format("no lane may take it; {}", lanes.of_class.empty() ? other : lanes.of_class)};
  }
  if (lanes.busy == lanes.suitable) return {fmt::format("all {} lanes that may take it are busy", lanes.suitable)};
  return {"it is about to be assigned"};
}

net::Explanation explain_compile(const Turn& turn, const TaskRecord& task) {
  const auto artifact = turn.durable().artifacts.find(task.key);
  if (artifact == turn.durable().artifacts.end()) return {{"nobody wants its artifact any more"}};
  net::Explanation out{{{}}};
  out.lines.front() = compile_line(turn, artifact->second.wanted, out.lines);
  return out;
}

const ClipRecord* first_open_clip(const JobRecord& job) {
  for (const ClipRecord& clip : job.clips) {
    if (!clip.result) return &clip;
  }
  return nullptr;
}

}  // namespace

// A job at work may still leave lanes out: their reasons are told in any case.
net::Explanation explain_job(const Turn& turn, const net::JobName&, const JobRecord& job) {
  if (job.ended) return {{job.reason.empty() ? "it has ended" : job.reason}};
  const LaneReasons lanes = lane_reasons(turn, job, first_open_clip(job));
  net::Explanation out;
  if (job.running.empty()) {
    out.lines = waiting_lines(turn, job, first_open_clip(job), lanes);
  } else {
    out.lines.push_back(fmt::format("{} of its tasks run", job.running.size()));
  }
  for (const TaskNumber number : job.running) {
    const TaskRecord* task = turn.task(number);
    if (task != nullptr) out.lines.push_back(fmt::format("task {}: on {}", number, lane_text(task->lane)));
  }
  out.lines.insert(out.lines.end(), lanes.lines.begin(), lanes.lines.end());
  return out;
}

net::Explanation explain_task(const Turn& turn, TaskNumber number, const TaskRecord& task) {
  switch (task.state) {
    case TaskState::kDone: return {{fmt::format("task {} is done, by {}", number, lane_text(task.lane))}};
    case TaskState::kFailed: return {{fmt::format("task {} failed: {}", number, task.last_message)}};
    case TaskState::kCancelled: return {{fmt::format("task {} was cancelled with its job", number)}};
    case TaskState::kRunning: return {{running_text(turn, number, task)}};
    case TaskState::kWaiting: break;
  }
  const JobRecord* job = turn.job(task.job);
  if (job == nullptr) return {{"its job was removed"}};
  const ClipRecord* clip = task.clip < job->clips.size() ? &job->clips[task.clip] : nullptr;
  if (task.kind == TaskKind::kJoin && clip != nullptr && clip->probe && clip->frames_done < clip->probe->frames) {
    return {{fmt::format("it waits for frames: {} of {} are done", clip->frames_done, clip->probe->frames)}};
  }
  const ClipRecord* wanted = task.kind == TaskKind::kSegment ? clip : nullptr;
  net::Explanation out;
  if (task.kind == TaskKind::kCompile) {
    out = explain_compile(turn, task);
  } else {
    const LaneReasons lanes = lane_reasons(turn, *job, wanted);
    out.lines = waiting_lines(turn, *job, wanted, lanes);
    out.lines.insert(out.lines.end(), lanes.lines.begin(), lanes.lines.end());
  }
  if (!task.last_message.empty()) {
    out.lines.insert(out.lines.begin() + 1, fmt::format("its last try failed: {}", task.last_message));
  }
  return out;
}

}  // namespace kiln::coordinator
