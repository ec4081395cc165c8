// Inside worker/ alone: the parts of FarmWorker.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/dealer_socket.h"
#include "worker/core/weight_groups.h"
#include "worker/core/worker_step.h"
#include "worker/farm_worker.h"
#include "worker/kernel_order.h"
#include "worker/lane_host.h"
#include "worker/mailbox.h"
#include "worker/memory_kills.h"
#include "worker/task_results.h"
#include "worker/task_run.h"
#include "worker/told_reasons.h"
#include "worker/transfer_pool.h"
#include "worker/worker_metrics.h"

namespace kiln::worker {

struct FarmWorker::Impl {
  using Clock = std::chrono::steady_clock;
  using RunPtr = std::shared_ptr<TaskRun>;

  Impl(FarmWorkerOptions worker_options, const cache::SigningKey& key, int signal_fd, std::unique_ptr<BlobCache> blobs,
       net::DealerSocket socket, std::unique_ptr<net::ZmqContext> context);
  ~Impl();

  // ---- the loop (farm_worker.cc) ----
  Status run();
  void turn();
  void wait();
  void hear_coordinator();
  void say_that_nobody_answers();
  void follow_connection();
  void hear_signals();
  void look_at_lanes();
  void tick();
  void post(WorkerEvent event) { events_.push_back(std::move(event)); }
  void settle();  // events into the core, effects out, until there is none left
  [[nodiscard]] WorkerMoment moment() const;

  // ---- effects (farm_worker_effects.cc) ----
  void carry_out(const Send& effect);
  void carry_out(const UseWelcome& effect);
  void carry_out(const StartLane& effect);
  void carry_out(const KillLane& effect);
  void carry_out(const ReleaseLane& effect);
  void carry_out(const DropCompiler& effect);
  void carry_out(const Prepare& effect);
  void carry_out(const RunTask& effect);
  void carry_out(const CancelRun& effect);
  void carry_out(const Store& effect);
  void carry_out(const Drop& effect);
  void carry_out(const OfferArtifact& effect);
  void carry_out(const Say& effect);
  void carry_out(const Leave& effect);
  void limit_rings(LaneHost& lane);
  void end_lane(LaneId id, const std::string& why);
  [[nodiscard]] Status run_on_lane(TaskRun& run, LaneHost& lane);
  [[nodiscard]] Status run_segment(TaskRun& run, LaneHost& lane);
  void offer(TaskKey key, Result<std::shared_ptr<const ReadyArtifact>> artifact);
  [[nodiscard]] RunPtr find_run(TaskKey key) const;
  void run_failed(TaskRun& run, net::TaskFault fault);

  // ---- compile children (farm_worker_compiles.cc) ----
  [[nodiscard]] static CompileIdentities compile_identities(const FarmWorkerOptions& options);
  void make_children();
  void compile(const RunPtr& run);
  void compiled(LaneId place, TaskKey key, const std::shared_ptr<Result<CompiledLibrary>>& library);
  void count_compile(const Result<CompiledLibrary>& made);

  // ---- kernels of lanes on cards (farm_worker_kernels.cc) ----
  void want_kernels(LaneId id, const net::KernelsWanted& wanted);
  void look_for_kernels(LaneId id, const net::KernelsWanted& wanted);
  void look_for_wanted_kernels();
  void offer_kernels(LaneId id, const KernelOrder& order, const Result<std::shared_ptr<const ReadyArtifact>>& found);
  void compile_kernels(const KernelOrder& order);
  void publish_kernels(const KernelOrder& order, const std::shared_ptr<Result<CompiledLibrary>>& made);
  void end_kernels(const KernelOrder& order, const Status& published);

  // ---- lanes (farm_worker_lanes.cc) ----
  void hear_lane(LaneId id);
  void lose_lane(LaneId id, std::string why);
  void on_lane(LaneId id, const net::FromLane& message);
  void on_lane_refusal(LaneId id, const net::TaskFault& fault);
  void on_lane_ended(LaneId id, TaskRun& run);
  void on_task(LaneId id, TaskRun& run, const net::FromLane& message);
  [[nodiscard]] std::vector<RunPtr> running_on(LaneId id) const;  // in the order in which it was told
  [[nodiscard]] bool is_running(const TaskRun& run) const;
  void not_running(LaneId id, TaskKey key);

  // ---- weights of lanes on cards (farm_worker_shares.cc) ----
  void say(const GroupWords& words);
  [[nodiscard]] std::vector<LaneId> lanes_that_want(const std::string& weights) const;
  void gather(const net::Assign& assign);
  void gather_soon(const net::Assign& assign);
  void on_prepared(const TaskRun& run);
  void gather_when_due();
  [[nodiscard]] bool shares_weights(const net::Assign& assign) const;
  [[nodiscard]] std::uint64_t share_for(const TaskRun& run);
  [[nodiscard]] bool hear_of_shares(LaneId id, const net::FromLane& message);  // false: it is of something else
  void leave_share(LaneId id, const std::string& why);
  void tell_of_weights(LaneId id, const net::PackageLoaded& loaded);

  // ---- for monitoring ----
  void publish();

  FarmWorkerOptions options_;
  const cache::SigningKey& signing_key_;
  const int signals_;
  std::unique_ptr<net::ZmqContext> context_;
  net::DealerSocket socket_;
  std::uint64_t connections_made_ = 0;
  bool connected_ = false;
  std::string refusal_;  // the latest
  ToldReasons told_reasons_;
  Clock::time_point ignored_since_ = Clock::now();
  const Clock::time_point began_at_ = Clock::now();
  bool told_that_nobody_answers_ = false;
  Clock::time_point served_at_ = Clock::now();  // a session with the coordinator, or the start
  StoreAccess store_;
  std::unique_ptr<BlobCache> cache_;
  TaskFileFetcher fetcher_;
  TaskResultStore results_;
  TaskPlace place_;
  Mailbox mailbox_;
  WorkerState state_;
  std::deque<WorkerEvent> events_;
  std::map<TaskKey, RunPtr> runs_;
  std::set<LaneId> started_;  // lanes, once at least
  std::map<LaneId, std::vector<TaskKey>> running_;  // what each lane was told to run and has not ended
  std::map<LaneId, std::unique_ptr<LaneHost>> lanes_;
  std::map<LaneId, MemoryKills> kills_;  // as they were when the lane, idle until then, began a task
  Clock::time_point looked_at_{};
  Clock::time_point ticked_at_{};
  std::optional<Status> over_;
  CompileCounts compiles_;
  std::map<LaneId, net::KernelsWanted> kernels_wanted_;  // before the coordinator named a store
  WeightGroups groups_;
  std::map<std::string, net::Assign> to_gather_;  // by weights
  Clock::time_point gather_at_{};
  std::vector<TaskKey> held_;  // prepared; they wait until then
  std::map<LaneId, std::string> load_notes_;  // why a lane's weights came as they did
  std::uint64_t weights_copied_bytes_ = 0;
  std::uint64_t weights_received_bytes_ = 0;
  std::set<Digest> kernels_ordered_;  // being compiled, or published by us
  std::unique_ptr<WorkerDoor> door_;  // nullptr: nobody asked for one
  Clock::time_point published_at_{};
  std::map<LaneId, std::unique_ptr<CompileChild>> children_;  // by their place; each starts its process when there is something to compile
  std::unique_ptr<CompileChild> kernel_child_;  // sees no card: it has nothing of any
  std::unique_ptr<TransferPool> pool_;  // last: it ends first, while all that its jobs use is still here
};

}  // namespace kiln::worker
