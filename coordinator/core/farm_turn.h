// One event's worth of work: what the parts of step() share. Used inside coordinator/core alone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/farm_step.h"
#include "sharding/package/package_manifest.h"
#include "sharding/precision.h"

namespace kiln::coordinator {

struct Turn {
  FarmState& state;
  Moment now;
  std::vector<FarmEffect> effects{};

  // The fact is in the state at once and in the journal before anything that follows it is carried out.
  void record(net::Fact fact);
  void tell(const net::WorkerName& worker, net::ToWorker message);
  void changed(const net::JobName& job);
  [[nodiscard]] std::uint64_t revision(const net::JobName& job) const;  // 0: nothing has changed since the coordinator began

  [[nodiscard]] Durable& durable() const { return state.durable; }
  [[nodiscard]] Live& live() const { return state.live; }
  [[nodiscard]] TaskRecord* task(TaskNumber number) const;
  [[nodiscard]] JobRecord* job(const net::JobName& name) const;
  [[nodiscard]] WorkerSession* worker(const net::WorkerName& name) const;
  [[nodiscard]] LaneLive* lane(const LaneName& name) const;
  [[nodiscard]] bool has_bug(SeededBug bug) const { return state.rules.bug == bug; }
};

// ---- worker_sessions.cc ----
void on_worker(Turn& turn, const std::string& connection, const net::FromWorker& message);
void lose_silent_workers(Turn& turn);
void lose_orphans(Turn& turn);
// The task is off its lane, or off the compile slot.
void release_lane(Turn& turn, const LaneName& lane, TaskNumber task);
// Ends the running attempt on a lane that is gone.
void lose_attempt(Turn& turn, TaskNumber task, const std::string& why);

// ---- task_results.cc ----
void on_task_done(Turn& turn, const net::WorkerName& worker, const net::TaskDone& message);
void on_task_failed(Turn& turn, const net::WorkerName& worker, const net::TaskFailed& message);
void on_progress(Turn& turn, const net::WorkerName& worker, const net::TaskProgress& message);
// What a failure of this kind means for the task: is it tried again?
void end_attempt(Turn& turn, TaskNumber task, const net::TaskFault& fault, const net::BlobRef& log);
// Under which name a lane's speed with this clip is kept.
[[nodiscard]] std::string speed_key(const net::ClipPlanned& plan);

// ---- job_requests.cc ----
void on_client(Turn& turn, const ClientAsked& asked);
// `exit`: what a command that waits for the job ends with; 0: the usual.
void end_job(Turn& turn, const net::JobName& job, net::JobState state, const std::string& reason, int exit = 0);
void cancel_running(Turn& turn, const JobRecord& job, const std::string& why);

// ---- clip_planning.cc ----
// Probed clips that have no plan yet get one; what they need compiled is wanted.
void plan_clips(Turn& turn);
// What the lanes that the job may use have room for, each once: on processors, and on cards.
struct ProbeBudgets {
  std::vector<std::uint64_t> hosts_bytes;
  std::vector<std::uint64_t> cards_bytes;
};
[[nodiscard]] ProbeBudgets probe_budgets(const Turn& turn, const JobRecord& job);
[[nodiscard]] bool is_card(const net::LaneClass& kind);

// ---- lane_precision.cc ----
// What the package has graphs of; all three where its manifest is not readable here.
[[nodiscard]] const std::vector<sharding::GraphDtype>& package_dtypes(const Turn& turn, const JobRecord& job);
[[nodiscard]] sharding::DtypeTaste taste_of(const JobRecord& job);
// Its clips are shots.
[[nodiscard]] bool generates(const JobRecord& job);
// In what the lanes that the job may use compute it, for the tiles that a probe finds.
[[nodiscard]] std::vector<std::string> probe_dtypes(const Turn& turn, const JobRecord& job);
// Whether a lane of that class can take part in a clip that is computed in `dtype`.
[[nodiscard]] bool computes_in(const net::LaneClass& kind, const std::string& dtype);

// ---- scheduling.cc ----
void assign_due(Turn& turn);

// ---- lane_room.cc ----
// A lane has one segment at a time, and the next shortly before that is rendered; beside them one task that needs no model.
[[nodiscard]] bool takes_segment(const Turn& turn, const LaneLive& lane);
[[nodiscard]] bool takes_chore(const Turn& turn, const LaneLive& lane);
// Frames a second of what `key` (speed_key) is for: as whole segments went, before the first of them as that one goes; 0: not
// known.
[[nodiscard]] double lane_speed(const Turn& turn, const LaneLive& lane, const std::string& key);
// Of the segments that it was given: what it has not rendered yet, as far as it has said.
[[nodiscard]] std::int64_t frames_due(const Turn& turn, const LaneLive& lane);

// ---- scheduling.cc ----
[[nodiscard]] net::Assign make_assign(const Turn& turn, TaskNumber number, const TaskRecord& task);

// ---- reasons.cc ----
// Why a lane does not get segments of this clip; nothing: it may.
[[nodiscard]] std::optional<std::string> unfit_reason(const Turn& turn, const JobRecord& job, const ClipRecord& clip,
                                                      const LaneName& name, const LaneLive& lane);
// Why it gets nothing at all: not up, set aside, draining, another pool.
[[nodiscard]] std::optional<std::string> unusable_reason(const Turn& turn, const JobRecord& job, const LaneName& name,
                                                         const LaneLive& lane);
[[nodiscard]] std::optional<std::string> blocked_reason(const Turn& turn, const JobRecord& job);
// Whether its code is chosen by trying it on the card: it is then for cards of that name alone.
[[nodiscard]] bool is_autotuned(const net::CompileSettings& settings);
// The places of a worker that compile for a class, each on a card of that kind; without cards one, for its lanes' class.
[[nodiscard]] std::vector<LaneId> compile_places(const WorkerSession& session, const net::LaneClass& kind, bool autotuned);
// Of those, where it could begin now.
[[nodiscard]] std::vector<LaneId> free_compile_places(const Turn& turn, const net::CompileWanted& wanted, const WorkerSession& session);
// Its worker said that the lane renders nothing until a compile of its card is done.
[[nodiscard]] bool waits_for_compile(const Turn& turn, const LaneName& name);
// As people read it: "w lane 1", "w's compiler", "w's compiler of lane 1".
[[nodiscard]] std::string lane_text(const LaneName& name);
// Whether the task failed on that lane, or there for a reason that holds for all lanes of its worker.
[[nodiscard]] bool failed_at(const TaskRecord& task, const LaneName& name);
[[nodiscard]] bool other_lane_may_take(const Turn& turn, const JobRecord& job, const TaskRecord& task);
// Why a worker does not make an artifact, busy or not.
[[nodiscard]] std::optional<std::string> no_builder_reason(const Turn& turn, const net::CompileWanted& wanted,
                                                           const WorkerSession& session);
// A lane's class and the one that is wanted, so that their difference is seen.
[[nodiscard]] std::pair<std::string, std::string> class_texts(const net::LaneClass& own, const net::LaneClass& wanted);
[[nodiscard]] std::string compile_class_text(const net::CompileWanted& wanted);

// ---- queries.cc, explain.cc ----
[[nodiscard]] net::JobSummary summary_of(const Turn& turn, const net::JobName& name, const JobRecord& job);
// As much of the job as was asked for.
[[nodiscard]] net::JobStatus status_of(const Turn& turn, const JobRecord& job, const net::GetJob& ask);
[[nodiscard]] net::ClientReply answer_query(const Turn& turn, const net::ClientRequest& request);
[[nodiscard]] net::Explanation explain_job(const Turn& turn, const net::JobName& name, const JobRecord& job);
[[nodiscard]] net::Explanation explain_task(const Turn& turn, TaskNumber number, const TaskRecord& task);
void answer_waiters(Turn& turn);

}  // namespace kiln::coordinator
