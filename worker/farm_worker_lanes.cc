// What lanes say, and how they end.
#include "base/log.h"
#include "worker/farm_worker_impl.h"
#include "worker/fault_class.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kLastWordsBytes = 8U << 10U;

template <typename Body>
const Body* body_of(const net::FromLane& message, const TaskRun* run) {
  const auto* body = std::get_if<Body>(&message);
  return body != nullptr && run != nullptr && body->task.value == run->assign.task ? body : nullptr;
}

}  // namespace

FarmWorker::Impl::RunPtr FarmWorker::Impl::running_on(LaneId id) const {
  const auto running = running_.find(id);
  return running == running_.end() ? nullptr : find_run(running->second);
}

void FarmWorker::Impl::hear_lane(LaneId id) {
  auto message = lanes_.at(id)->receive();
  if (!message) return lose_lane(id, message.error().message);
  if (!*message) return lose_lane(id, "it ended");
  post(LaneIsAlive{id});
  on_lane(id, **message);
}

void FarmWorker::Impl::lose_lane(LaneId id, std::string why) {
  LaneHost& lane = *lanes_.at(id);
  Death death;
  death.status = lane.bury();
  const std::string log = read_log(lane.log_path(), lane.log_begin(), kLastWordsBytes).text;
  death.log = log;
  death.killed_for_memory = kills_.contains(id) && read_memory_kills() != kills_.at(id);
  if (!death.status.ok()) why = death.status.describe();
  if (const RunPtr run = running_on(id)) run->outcome = fmt::format("its lane died: {}", why);
  running_.erase(id);
  post(LaneIsLost{id, kind_of(death), std::move(why)});
}

void FarmWorker::Impl::on_lane_ended(LaneId id, const RunPtr& run) {
  running_.erase(id);
  lanes_.at(id)->prove();
  post(RunDone{run->key()});
}

// A package or clip that it could not take is the task's fault; a lane that never did anything could not be set up, and
// where that lies in the configuration, no other lane can be.
void FarmWorker::Impl::on_lane_refusal(LaneId id, const net::TaskFault& fault) {
  LaneHost& lane = *lanes_.at(id);
  const RunPtr run = running_on(id);
  running_.erase(id);
  if (run && (lane.proven() || fault.kind == net::FailureKind::kBadInput)) {
    lane.unload();
    return run_failed(*run, fault);
  }
  if (run) run->outcome = fmt::format("failed: {}", fault.message);
  lane.kill();
  LaneIsLost lost{id, fault.kind, fault.message};
  if (fault.exit == static_cast<int>(ExitCode::kBadConfig)) {
    lost.refusal = Error{error_code_from_string(fault.code), fault.message, ExitCode::kBadConfig};
  }
  post(std::move(lost));
}

void FarmWorker::Impl::on_lane(LaneId id, const net::FromLane& message) {
  LaneHost& lane = *lanes_.at(id);
  const RunPtr run = running_on(id);
  if (const auto* hello = std::get_if<net::Hello>(&message)) {
    if (hello->protocol == net::kLaneProtocol) return post(LaneIsUp{id});
    lane.kill();
    return post(LaneIsLost{id, net::FailureKind::kError, "kiln-lane is of another version"});
  }
  if (std::holds_alternative<net::PackageLoaded>(message)) return lane.on_loaded();
  if (const auto* wanted = std::get_if<net::KernelsWanted>(&message)) return want_kernels(id, *wanted);
  if (const auto* failed = std::get_if<net::Failed>(&message)) {
    return on_lane_refusal(id, fault_of(failed->fault));
  }
  if (const auto* refused = std::get_if<net::ArtifactRefused>(&message)) {
    log::warn("lane {} refused artifact {}: {}", id.value, refused->key, refused->fault.error.message);
    if (run) post(ArtifactRefused{run->key(), refused->fault.error.message});
  } else if (const auto* progress = body_of<net::Progress>(message, run.get())) {
    post(RunProgressed{{run->assign.task, run->assign.attempt, progress->frames_done, progress->frames_compiled,
                        progress->resident_bytes}});
  } else if (const auto* segment = body_of<net::SegmentDone>(message, run.get())) {
    run->segment = *segment;
    on_lane_ended(id, run);
  } else if (const auto* probe = body_of<net::ProbeDone>(message, run.get())) {
    run->probe = *probe;
    on_lane_ended(id, run);
  } else if (const auto* join = body_of<net::JoinDone>(message, run.get())) {
    run->join = *join;
    on_lane_ended(id, run);
  } else if (const auto* failed_task = body_of<net::LaneTaskFailed>(message, run.get())) {
    running_.erase(id);
    run_failed(*run, fault_of(failed_task->fault));
  }
}

}  // namespace kiln::worker
