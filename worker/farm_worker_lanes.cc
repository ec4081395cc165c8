// What lanes say, and how they end.
#include <algorithm>

#include "base/log.h"
#include "worker/farm_worker_impl.h"
#include "worker/fault_class.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kLastWordsBytes = 8U << 10U;

// Of which task a message tells; none: of the lane itself.
std::optional<TaskId> task_of(const net::FromLane& message) {
  return std::visit(
      [](const auto& body) -> std::optional<TaskId> {
        if constexpr (requires { body.task; }) return body.task;
        return std::nullopt;
      },
      message);
}

bool renders_with(const TaskRun& run, const std::string& artifact) {
  const auto* segment = std::get_if<net::SegmentSpec>(&run.assign.spec);
  return segment != nullptr && segment->artifact_key == artifact;
}

}  // namespace

std::vector<FarmWorker::Impl::RunPtr> FarmWorker::Impl::running_on(LaneId id) const {
  std::vector<RunPtr> out;
  const auto running = running_.find(id);
  if (running == running_.end()) return out;
  for (const TaskKey& key : running->second) {
    if (RunPtr run = find_run(key)) out.push_back(std::move(run));
  }
  return out;
}

bool FarmWorker::Impl::is_running(const TaskRun& run) const {
  const auto running = running_.find(run.slot);
  return running != running_.end() && std::count(running->second.begin(), running->second.end(), run.key()) > 0;
}

void FarmWorker::Impl::not_running(LaneId id, TaskKey key) { std::erase(running_[id], key); }

void FarmWorker::Impl::hear_lane(LaneId id) {
  const auto arrival = lanes_.at(id)->receive();
  if (!arrival) return lose_lane(id, arrival.error().message);
  if (arrival->closed) return lose_lane(id, "it ended");
  if (!arrival->message) return;  // the rest of it is on its way
  post(LaneIsAlive{id});
  on_lane(id, *arrival->message);
}

void FarmWorker::Impl::lose_lane(LaneId id, std::string why) {
  LaneHost& lane = *lanes_.at(id);
  Death death;
  leave_share(id, "it is gone");  // first: others wait for what it would have sent
  death.status = lane.bury();
  const std::string log = read_log(lane.log_path(), lane.log_begin(), kLastWordsBytes).text;
  death.log = log;
  death.killed_for_memory = kills_.contains(id) && read_memory_kills() != kills_.at(id);
  if (!death.status.ok()) why = death.status.describe();
  for (const RunPtr& run : running_on(id)) run->outcome = fmt::format("its lane died: {}", why);
  running_.erase(id);
  post(LaneIsLost{id, kind_of(death), std::move(why)});
}

void FarmWorker::Impl::on_lane_ended(LaneId id, TaskRun& run) {
  not_running(id, run.key());
  lanes_.at(id)->prove();
  post(RunDone{run.key()});
}

// A package or clip that it could not take is the fault of the task with which that was sent; a lane that never did anything
// could not be set up, and where that lies in the configuration, no other lane can be.
void FarmWorker::Impl::on_lane_refusal(LaneId id, const net::TaskFault& fault) {
  LaneHost& lane = *lanes_.at(id);
  leave_share(id, "it was refused");
  const std::vector<RunPtr> runs = running_on(id);
  const RunPtr run = runs.empty() ? nullptr : lane.loading() ? runs.front() : runs.back();
  if (run && (lane.proven() || fault.kind == net::FailureKind::kBadInput)) {
    not_running(id, run->key());
    if (runs.size() == 1 || lane.loading()) lane.unload();
    return run_failed(*run, fault);
  }
  for (const RunPtr& each : runs) each->outcome = fmt::format("failed: {}", fault.message);
  running_.erase(id);
  lane.kill();
  LaneIsLost lost{id, fault.kind, fault.message};
  if (fault.exit == static_cast<int>(ExitCode::kBadConfig)) {
    lost.refusal = Error{error_code_from_string(fault.code), fault.message, ExitCode::kBadConfig};
  }
  post(std::move(lost));
}

void FarmWorker::Impl::on_lane(LaneId id, const net::FromLane& message) {
  LaneHost& lane = *lanes_.at(id);
  if (const auto* hello = std::get_if<net::Hello>(&message)) {
    if (hello->protocol == net::kLaneProtocol) return post(LaneIsUp{id});
    lane.kill();
    return post(LaneIsLost{id, net::FailureKind::kError, "kiln-lane is of another version"});
  }
  if (const auto* loaded = std::get_if<net::PackageLoaded>(&message)) {
    tell_of_weights(id, *loaded);
    return lane.on_loaded();
  }
  if (hear_of_shares(id, message)) return;
  if (const auto* wanted = std::get_if<net::KernelsWanted>(&message)) return want_kernels(id, *wanted);
  if (const auto* failed = std::get_if<net::Failed>(&message)) return on_lane_refusal(id, fault_of(failed->fault));
  if (const auto* refused = std::get_if<net::ArtifactRefused>(&message)) {
    log::warn("lane {} refused artifact {}: {}", id.value, refused->key, refused->fault.error.message);
    for (const RunPtr& run : running_on(id)) {
      if (renders_with(*run, refused->key)) post(ArtifactRefused{run->key(), refused->fault.error.message});
    }
    return;
  }
  const auto task = task_of(message);
  if (!task) return;
  for (const RunPtr& run : running_on(id)) {
    if (run->assign.task == task->value) on_task(id, *run, message);
  }
}

void FarmWorker::Impl::on_task(LaneId id, TaskRun& run, const net::FromLane& message) {
  if (const auto* progress = std::get_if<net::Progress>(&message)) {
    return post(RunProgressed{{run.assign.task, run.assign.attempt, progress->frames_done, progress->frames_compiled,
                               progress->resident_bytes, progress->stage}});
  }
  if (const auto* failed = std::get_if<net::LaneTaskFailed>(&message)) {
    not_running(id, run.key());
    return run_failed(run, fault_of(failed->fault));
  }
  if (const auto* segment = std::get_if<net::SegmentDone>(&message)) run.segment = *segment;
  if (const auto* probe = std::get_if<net::ProbeDone>(&message)) run.probe = *probe;
  if (const auto* join = std::get_if<net::JoinDone>(&message)) run.join = *join;
  on_lane_ended(id, run);
}

}  // namespace kiln::worker
