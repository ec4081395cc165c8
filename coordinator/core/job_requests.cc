// What clients ask for. A request that cannot be taken changes nothing.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"
#include "net/farm_limits.h"
#include "sharding/compile_settings.h"
#include "sharding/package/generator_manifest.h"
#include "sharding/package/package_manifest.h"
#include "sharding/shot_rules.h"

namespace kiln::coordinator {
namespace {

// Whatever a message may hold of a shot the rules judge, and say what is possible.
static_assert(net::kPromptBytesMax == sharding::kShotPromptBytesMax && net::kStepsMax == sharding::kShotStepsMax &&
              net::kGuidanceMax == sharding::kShotStrengthMax);

using net::JobVerb;

Error not_found(const net::JobName& job) {
  return make_error(ErrorCode::kNotFound, ExitCode::kNotFound, "{}: no such job (kiln jobs lists them)", job);
}

void reply(Turn& turn, const ClientAsked& asked, net::ClientReply body) {
  turn.effects.emplace_back(Reply{asked.connection, asked.request, std::move(body)});
}

void refuse(Turn& turn, const ClientAsked& asked, Error error) {
  ++turn.live().counters.requests_refused;
  reply(turn, asked, net::Refused{std::move(error)});
}

Status check_outputs(const net::JobRequest& request) {
  if (request.clips.empty()) return fail(make_error(ErrorCode::kInvalidArgument, "{}: it has no clip", request.job));
  std::set<std::string> names;
  for (const net::ClipRequest& clip : request.clips) {
    if (!names.insert(clip.output.file_name).second) {
      return fail(make_error(ErrorCode::kInvalidArgument, "{}: two clips have the output {}", request.job,
                             clip.output.file_name));
    }
    if (clip.output.file_name.find('/') != std::string::npos) {
      return fail(make_error(ErrorCode::kInvalidArgument, "{}: an output is a file's name, not a path: {}", request.job,
                             clip.output.file_name));
    }
  }
  return {};
}

Status check_generate(const net::JobRequest& request) {
  KILN_TRY(check_outputs(request));
  KILN_TRY_ASSIGN(const auto manifest, sharding::parse_generator_manifest(request.manifest, "manifest.toml"));
  if (request.executor == "compiled") {
    return fail(make_error(ErrorCode::kInvalidArgument, "{}: shots are not compiled yet; executor any or uncompiled", request.job));
  }
  for (const net::ClipRequest& clip : request.clips) {
    if (!clip.source.is_shot()) return fail(make_error(ErrorCode::kInvalidArgument, "{}: a clip that is no shot", request.job));
    if (const Status good = sharding::check_shot(manifest, sharding::shot_wish_of(clip.source.shot)); !good) {
      return fail(good.error().with_context(fmt::format("{}: {}", request.job, clip.source.path)));
    }
  }
  return {};
}

Status check_upscale(const net::JobRequest& request) {
  KILN_TRY(check_outputs(request));
  auto manifest = sharding::parse_package_manifest(request.manifest, "manifest.toml");
  if (!manifest) return fail(manifest.error());
  KILN_TRY_ASSIGN(const auto settings, sharding::compile_settings_of(request.compile));
  if (auto lacks = sharding::find_unavailable(settings)) return fail(std::move(lacks->error));
  for (const net::ClipRequest& clip : request.clips) {
    if (clip.source.is_shot()) return fail(make_error(ErrorCode::kInvalidArgument, "{}: a shot, and its job upscales", request.job));
    if (clip.source.in_place ? clip.source.path.empty() : clip.source.blob.sha256.empty()) {
      return fail(make_error(ErrorCode::kInvalidArgument, "{}: a clip has no source", request.job));
    }
  }
  return {};
}

Status check_submission(Turn& turn, const net::JobRequest& request) {
  if (turn.durable().jobs.size() >= turn.state.rules.jobs_max) {
    ++turn.live().counters.jobs_full;
    return fail(make_error(ErrorCode::kResourceExhausted, ExitCode::kTryAgain,
                           "{} jobs are kept already; remove some (kiln rm JOB)", turn.durable().jobs.size()));
  }
  for (const net::JobName& needed : request.depends_on) {
    if (turn.job(needed) == nullptr) {
      return fail(make_error(ErrorCode::kNotFound, ExitCode::kNotFound, "{}: depends on {}, which is not here",
                             request.job, needed));
    }
  }
  if (request.kind == net::JobKind::kUpscale) return check_upscale(request);
  if (request.kind == net::JobKind::kGenerate) return check_generate(request);
  if (request.noop_tasks < 1 || request.noop_tasks > net::kNoopTasksMax) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{}: 1 to {} tasks", request.job, net::kNoopTasksMax));
  }
  return {};
}

void on_submit(Turn& turn, const ClientAsked& asked, const net::Submit& submit) {
  net::JobRequest request = submit.request;
  // Who came with a key owns what was submitted; an admin may submit for somebody else.
  if (!asked.who.empty() && (!asked.admin || request.owner.empty())) request.owner = asked.who;
  if (const JobRecord* known = turn.job(request.job); known != nullptr) {
    if (known->request == request) return reply(turn, asked, net::Done{"it was submitted before"});
    return refuse(turn, asked, make_error(ErrorCode::kAlreadyExists, "{}: another job has this name", request.job));
  }
  if (const Status status = check_submission(turn, request); !status) {
    turn.effects.emplace_back(KeepBlobs{request.job, {}});  // what was sent ahead for it is nobody's
    return refuse(turn, asked, status.error());
  }
  turn.record(net::JobAccepted{request, turn.durable().next_task, turn.now.unix_s});
  if (!turn.has_bug(SeededBug::kEvictedInput)) {
    turn.effects.emplace_back(needs_of(turn.durable(), request.job));
  }
  reply(turn, asked, net::Done{});
  turn.changed(request.job);
}

Status check_verb(const net::JobName& name, const JobRecord& job, JobVerb verb) {
  const bool ended = job.ended.has_value();
  switch (verb) {
    case JobVerb::kCancel:
    case JobVerb::kPause:
    case JobVerb::kResume:
      if (!ended) return {};
      return fail(make_error(ErrorCode::kFailedPrecondition, "{}: it has ended already", name));
    case JobVerb::kRetry:
      if (ended && *job.ended != net::JobState::kDone) return {};
      return fail(make_error(ErrorCode::kFailedPrecondition, "{}: only what failed or was cancelled can be tried again", name));
    case JobVerb::kRemove:
      if (ended) return {};
      return fail(make_error(ErrorCode::kFailedPrecondition, "{}: it has not ended; cancel it first (kiln cancel {})", name, name));
  }
  return {};
}

void on_control(Turn& turn, const ClientAsked& asked, const net::ControlJob& control) {
  const JobRecord* job = turn.job(control.job);
  if (job == nullptr) return refuse(turn, asked, not_found(control.job));
  if (!asked.admin && !asked.who.empty() && job->request.owner != asked.who) {
    return refuse(turn, asked, make_error(ErrorCode::kPermissionDenied, ExitCode::kDenied,
                                          "{}: belongs to {}; an admin key may change it", control.job, job->request.owner));
  }
  if (const Status status = check_verb(control.job, *job, control.verb); !status) return refuse(turn, asked, status.error());
  if (control.verb == JobVerb::kCancel) cancel_running(turn, *job, "the job was cancelled");
  turn.record(net::JobControlled{control.job, control.verb, turn.now.unix_s});
  turn.live().artifact_losses.erase(control.job);
  if (control.verb == JobVerb::kRemove) {
    turn.effects.emplace_back(KeepBlobs{control.job, {}});
    turn.live().results_dropped.erase(control.job);
    turn.live().revisions.erase(control.job);
    turn.live().package_dtypes.erase(control.job);
  }
  turn.changed(control.job);
  reply(turn, asked, net::Done{});
}

void on_drain(Turn& turn, const ClientAsked& asked, const net::Drain& drain) {
  if (!asked.admin) {
    return refuse(turn, asked, make_error(ErrorCode::kPermissionDenied, ExitCode::kDenied,
                                          "only an admin key may drain a worker"));
  }
  WorkerSession* session = turn.worker(drain.worker);
  if (session == nullptr) {
    return refuse(turn, asked, make_error(ErrorCode::kNotFound, ExitCode::kNotFound, "{}: no such worker", drain.worker));
  }
  if (drain.on && drain.leave) {  // no fact: it ends with this process of the worker
    session->leaving = true;
    turn.tell(drain.worker, net::DrainWorker{true, true});
    turn.live().dirty = true;
    return reply(turn, asked, net::Done{});
  }
  turn.record(net::WorkerDrained{drain.worker, drain.on});
  turn.tell(drain.worker, net::DrainWorker{drain.on, false});
  turn.live().dirty = true;
  reply(turn, asked, net::Done{});
}

void on_get_job(Turn& turn, const ClientAsked& asked, const net::GetJob& get) {
  const JobRecord* job = turn.job(get.job);
  if (job == nullptr) return refuse(turn, asked, not_found(get.job));
  const std::uint64_t revision = turn.revision(get.job);
  if (revision > get.after_revision || get.wait_ms == 0 || get.after_revision == 0) {
    return reply(turn, asked, status_of(turn, *job, get));
  }
  if (turn.live().waiters.size() >= kWaitersMax) {
    ++turn.live().counters.waiters_full;
    return reply(turn, asked, status_of(turn, *job, get));
  }
  const FarmTime wait{std::min(get.wait_ms, kWaitMsMax)};
  turn.live().waiters.push_back({asked.connection, asked.request, get, turn.now.at + wait});
}

}  // namespace

void on_client(Turn& turn, const ClientAsked& asked) {
  if (const auto* submit = std::get_if<net::Submit>(&asked.body)) return on_submit(turn, asked, *submit);
  if (const auto* control = std::get_if<net::ControlJob>(&asked.body)) return on_control(turn, asked, *control);
  if (const auto* drain = std::get_if<net::Drain>(&asked.body)) return on_drain(turn, asked, *drain);
  if (const auto* get = std::get_if<net::GetJob>(&asked.body)) return on_get_job(turn, asked, *get);
  if (const auto* grants = std::get_if<net::AskGrants>(&asked.body)) {
    turn.effects.emplace_back(IssueGrants{asked.connection, asked.request, grants->job, grants->write});
    return;
  }
  net::ClientReply answer = answer_query(turn, asked.body);
  if (std::holds_alternative<net::Refused>(answer)) ++turn.live().counters.requests_refused;
  reply(turn, asked, std::move(answer));
}

void end_job(Turn& turn, const net::JobName& name, net::JobState state, const std::string& reason, int exit) {
  const JobRecord* job = turn.job(name);
  if (job == nullptr || job->ended) return;
  if (state != net::JobState::kDone) cancel_running(turn, *job, "the job has ended");
  turn.record(net::JobEnded{name, state, reason, turn.now.unix_s, exit});
  turn.live().artifact_losses.erase(name);
  turn.changed(name);
}

void cancel_running(Turn& turn, const JobRecord& job, const std::string& why) {
  for (const TaskNumber number : job.running) {
    const TaskRecord* task = turn.task(number);
    if (task == nullptr) continue;
    turn.tell(task->lane.worker, net::CancelTask{number, task->attempt, why});
    release_lane(turn, task->lane, number);
  }
}

void answer_waiters(Turn& turn) {
  Live& live = turn.live();
  std::size_t answered = 0;
  bool held_back = false;
  std::erase_if(live.waiters, [&](const Waiter& waiter) {
    const JobRecord* job = turn.job(waiter.ask.job);
    const bool changed = job == nullptr || turn.revision(waiter.ask.job) > waiter.ask.after_revision;
    const bool due = changed || turn.now.at >= waiter.until;
    held_back = held_back || (due && answered >= kWaitersPerPassMax);
    if (!due || answered >= kWaitersPerPassMax) return false;
    ++answered;
    net::ClientReply body = net::Refused{not_found(waiter.ask.job)};
    if (job != nullptr) body = status_of(turn, *job, waiter.ask);
    turn.effects.emplace_back(Reply{waiter.connection, waiter.request, std::move(body)});
    return true;
  });
  live.counters.waiters_held_back += held_back ? 1U : 0U;
  live.changed.clear();
}

}  // namespace kiln::coordinator
