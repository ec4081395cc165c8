// What the state machine asks for, carried out.
#include "base/log.h"
#include "base/sealed_file.h"
#include "net/farm_codec.h"
#include "sharding/ring_sizes.h"
#include "worker/card_probe.h"
#include "worker/farm_worker_impl.h"
#include "worker/fault_class.h"

namespace kiln::worker {
namespace {

constexpr std::chrono::seconds kCardLookDeadline{2};  // nobody else is heard meanwhile

}  // namespace

FarmWorker::Impl::RunPtr FarmWorker::Impl::find_run(TaskKey key) const {
  const auto found = runs_.find(key);
  return found == runs_.end() ? nullptr : found->second;
}

void FarmWorker::Impl::run_failed(TaskRun& run, net::TaskFault fault) {
  fault.message = store_.without_grants(std::move(fault.message));
  run.outcome = fmt::format("failed: {}", fault.message);
  post(RunFailed{run.key(), std::move(fault)});
}

// ---- the coordinator ----

// What cannot be sent is sent again, or said by the next hello.
void FarmWorker::Impl::carry_out(const Send& effect) {
  net::FarmMessage message;
  message.body = effect.message;
  if (const Status sent = socket_.send(net::encode(message)); !sent) log::debug("not sent: {}", sent.error().message);
}

void FarmWorker::Impl::carry_out(const UseWelcome& effect) {
  const Status used = store_.use(effect.welcome);
  if (used) return look_for_wanted_kernels();
  log::error("{}", used.error().message);
}

void FarmWorker::Impl::carry_out(const Say& effect) { log::warn("{}", effect.text); }

void FarmWorker::Impl::carry_out(const Leave& effect) {
  over_ = effect.error ? Status(fail(*effect.error)) : Status();
}

// ---- lanes ----

// A lane that is started again: others may use the memory of its card by now.
void FarmWorker::Impl::limit_rings(LaneHost& lane) {
  if (lane.place().card_uuid.empty()) return;
  std::vector<std::string> said;
  CardProbe probe;
  probe.deadline = kCardLookDeadline;
  const auto found = probe_cards(probe, said);
  if (!found) return;  // the lane will say what is wrong
  for (const Card& card : found->cards) {
    const std::uint64_t context_bytes = std::min(card.free_bytes, lane.place().context_bytes);
    if (card.uuid == lane.place().card_uuid) lane.limit_rings(sharding::ring_limit_bytes(card.free_bytes - context_bytes));
  }
}

void FarmWorker::Impl::carry_out(const StartLane& effect) {
  if (!started_.insert(effect.lane).second) limit_rings(*lanes_.at(effect.lane));
  if (const Status started = lanes_.at(effect.lane)->start(); !started) {
    lanes_.at(effect.lane)->kill();
    post(LaneIsLost{effect.lane, net::FailureKind::kError, started.error().message});
  }
}

void FarmWorker::Impl::end_lane(LaneId id, const std::string& why) {
  for (const RunPtr& run : running_on(id)) run->outcome = fmt::format("its lane was killed: {}", why);
  lanes_.at(id)->kill();
  leave_share(id, "it was killed");
  running_.erase(id);
}

void FarmWorker::Impl::carry_out(const KillLane& effect) {
  log::warn("lane {} is killed: {}", effect.lane.value, effect.why);
  end_lane(effect.lane, effect.why);
}

void FarmWorker::Impl::carry_out(const ReleaseLane& effect) {
  log::info("lane {} waits: {}", effect.lane.value, effect.why);
  end_lane(effect.lane, effect.why);
}

// Its process is gone when this returns; it had nothing to do.
void FarmWorker::Impl::carry_out(const DropCompiler& effect) {
  const auto child = children_.find(effect.place);
  if (child != children_.end()) child->second->leave();
}

// ---- tasks ----

void FarmWorker::Impl::carry_out(const Prepare& effect) {
  const TaskKey key = key_of(effect.assign);
  RunPtr& run = runs_[key];
  if (!run) run = std::make_shared<TaskRun>(place_, effect.slot, effect.assign);
  gather_soon(effect.assign);
  pool_->run([this, key, assign = effect.assign] {
    auto files = std::make_shared<tl::expected<TaskFiles, TaskFileFetcher::Failure>>(fetcher_.fetch(assign));
    mailbox_.post([this, key, files] {
      const RunPtr waiting = find_run(key);
      if (!waiting) return;
      if (*files) {
        waiting->files = std::move(**files);
        return on_prepared(*waiting);
      }
      const auto& failure = files->error();
      waiting->outcome = fmt::format("not prepared: {}", failure.fault.message);
      post(TransferFailed{key, failure.fault, is_passing(failure.error), is_denied(failure.error)});
    });
  });
}

void FarmWorker::Impl::carry_out(const RunTask& effect) {
  const RunPtr run = find_run(key_of(effect.assign));
  if (!run) return;
  const bool was_idle = running_[effect.slot].empty();
  running_[effect.slot].push_back(run->key());
  run->outcome.clear();
  if (is_compile(effect.slot)) return compile(run);
  LaneHost& lane = *lanes_.at(effect.slot);
  lane.begin_log(was_idle);
  run->log_path = lane.log_path();
  run->log_begin = lane.log_begin();
  if (was_idle) kills_[effect.slot] = read_memory_kills();
  // A lane that cannot be written to is dying: its closed socket tells soon enough.
  if (const Status told = run_on_lane(*run, lane); !told && told.error().code != ErrorCode::kUnavailable) {
    not_running(effect.slot, run->key());
    run_failed(*run, fault_of(told.error()));
  }
}

Status FarmWorker::Impl::run_on_lane(TaskRun& run, LaneHost& lane) {
  KILN_TRY(run.make_folder());
  if (std::holds_alternative<net::ProbeSpec>(run.assign.spec)) return lane.send(probe_task(run));
  if (std::holds_alternative<net::SegmentSpec>(run.assign.spec)) return run_segment(run, lane);
  const auto& join = std::get<net::JoinSpec>(run.assign.spec);
  KILN_TRY_ASSIGN(const ClipId clip,
                  lane.use_clip({join.description.sha256, run.files.location}, run.files.description->get()));
  return lane.send(join_task(run, clip));
}

Status FarmWorker::Impl::run_segment(TaskRun& run, LaneHost& lane) {
  const auto& spec = std::get<net::SegmentSpec>(run.assign.spec);
  KILN_TRY_ASSIGN(const sharding::GraphDtype dtype, sharding::graph_dtype_from_string(spec.dtype));
  if (spec.source.is_shot()) {
    KILN_TRY(lane.use_generator(run.files.generator, dtype));
    KILN_TRY_ASSIGN(const ClipId shot, lane.use_clip({spec.description.sha256, {}}, run.files.description->get()));
    return lane.send(segment_task(run, shot));
  }
  KILN_TRY(lane.use_package(run.files.package, dtype, share_for(run)));
  KILN_TRY_ASSIGN(const ClipId clip,
                  lane.use_clip({spec.description.sha256, run.files.location}, run.files.description->get()));
  if (run.files.artifact) KILN_TRY(lane.offer(*run.files.artifact, store_.trusted_keys()));
  return lane.send(segment_task(run, clip));
}

void FarmWorker::Impl::carry_out(const CancelRun& effect) {
  const RunPtr run = find_run(effect.key);
  if (!run) return;
  if (is_compile(effect.slot)) {
    if (run->ticket) children_.at(effect.slot)->cancel(*run->ticket);
    return;
  }
  (void)lanes_.at(effect.slot)->send(net::Cancel{TaskId{effect.key.task}});
}

void FarmWorker::Impl::carry_out(const Store& effect) {
  const RunPtr run = find_run(effect.key);
  if (!run) return;
  pool_->run([this, run, only_log = effect.only_log] {
    std::optional<Error> error;
    Stored stored{run->key(), std::nullopt, {}};
    if (!only_log) {
      if (auto result = results_.store(*run)) {
        stored.result = std::move(*result);
      } else {
        error = result.error();
      }
    }
    if (!error) stored.log = results_.store_log(*run);
    mailbox_.post([this, run, stored = std::move(stored), error] {
      if (!error) {
        runs_.erase(run->key());
        return post(stored);
      }
      net::TaskFault fault = fault_of(*error);
      if (is_full(*error)) fault.kind = net::FailureKind::kStoreFull;
      fault.message = store_.without_grants(std::move(fault.message));
      if (is_full(*error)) log::warn("what task {} made is kept until there is room: {}", run->assign.task, fault.message);
      run->outcome = fmt::format("not stored: {}", fault.message);
      post(TransferFailed{run->key(), std::move(fault), is_passing(*error) || is_full(*error), is_denied(*error)});
    });
  });
}

void FarmWorker::Impl::carry_out(const Drop& effect) { runs_.erase(effect.key); }

void FarmWorker::Impl::carry_out(const OfferArtifact& effect) {
  pool_->run([this, key = effect.key, artifact = effect.artifact] {
    auto fetched = fetcher_.fetch_artifact(artifact);
    mailbox_.post([this, key, fetched = std::move(fetched)] { offer(key, fetched); });
  });
}

void FarmWorker::Impl::offer(TaskKey key, Result<std::shared_ptr<const ReadyArtifact>> artifact) {
  const RunPtr run = find_run(key);
  if (!run || !is_running(*run)) return;
  if (!artifact || *artifact == nullptr) {
    log::warn("task {}: its artifact cannot be had, frames stay uncompiled: {}", key.task,
              artifact ? "the store has none" : artifact.error().message);
    return;
  }
  run->files.artifact = *artifact;
  (void)lanes_.at(run->slot)->offer(**artifact, store_.trusted_keys());
}

}  // namespace kiln::worker
