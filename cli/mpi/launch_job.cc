#include "cli/mpi/launch_job.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/sha256.h"
#include "cli/farm/submission.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{100};
constexpr std::chrono::milliseconds kTryAgain{500};
constexpr std::size_t kDigestChars = 12;
constexpr std::size_t kRandomChars = 8;  // of a name that make_job_name() gave

// What the job is made of, as far as it can be told without reading it all.
std::string digest_of(const MpiFlags& flags, const JobDraft& draft) {
  Sha256 hash;
  std::error_code error;
  const auto add = [&](const std::string& path) {
    const auto bytes = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
    const auto time = fs::last_write_time(path, error).time_since_epoch().count();
    hash.update(fmt::format("{}\n{} {}\n", fs::absolute(path, error).string(), bytes, time));
  };
  add(flags.job_file);
  add(draft.model + "/manifest.toml");
  for (const net::ClipRequest& clip : draft.request.clips) add(clip.source.path);
  return hash.finish().hex().substr(0, kDigestChars);
}

}  // namespace

Result<JobDraft> read_launch_job(const MpiFlags& flags) {
  KILN_TRY_ASSIGN(JobDraft draft, read_job_file(flags.job_file));
  std::vector<std::string> names;
  for (const net::ClipRequest& clip : draft.request.clips) names.push_back(clip.output.file_name);
  KILN_TRY(result_places(names, {draft.request.job, flags.output, flags.overwrite}));
  net::JobName& job = draft.request.job;
  job.replace(job.size() - kRandomChars, kRandomChars, digest_of(flags, draft));
  return draft;
}

Result<int> LaunchJob::run() {
  KILN_TRY(connect());
  Result<int> code = finish();
  if (const Status left = dismiss_workers(); !left) log::warn("ending before all workers have: {}", left.error().message);
  return code;
}

Result<int> LaunchJob::finish() {
  KILN_TRY(hand_in());
  KILN_TRY_ASSIGN(net::JobStatus status, watch());
  if (status.summary.state == net::JobState::kDone) KILN_TRY(fetch(status));
  const int code = print_ended_job(std::move(status), global_);
  std::fflush(stdout);
  return code;
}

template <typename Try>
auto LaunchJob::patiently(Try attempt) -> decltype(attempt()) {
  const auto until = Clock::now() + patience_.coordinator_away;
  for (;;) {
    auto result = attempt();
    const bool away = !result && (result.error().code == ErrorCode::kUnavailable ||
                                  result.error().code == ErrorCode::kDeadlineExceeded);
    if (!away || Clock::now() >= until) return result;
    log::debug("{}; trying again", result.error().message);
    std::this_thread::sleep_for(kTryAgain);
  }
}

Status LaunchJob::connect() {
  return patiently([&]() -> Status {
    KILN_TRY_ASSIGN(link_, FarmLink::open(coordinator_));
    return {};
  });
}

// A job that an earlier launch began goes on; one that failed is tried again.
Status LaunchJob::hand_in() {
  KILN_TRY_ASSIGN(const JobDraft draft, read_launch_job(flags_));
  job_ = draft.request.job;
  net::GetJob ask{job_};
  ask.detail = net::JobDetail::kClips;
  const auto known = patiently([&] { return link_->ask_for<net::JobStatus>(ask); });
  if (!known && known.error().code == ErrorCode::kNotFound) {
    return patiently([&] { return submit_job(*link_, draft, [](const std::string&) {}); });
  }
  if (!known) return fail(known.error());
  const net::JobState state = known->summary.state;
  if (!global_.json) fmt::print(stderr, "{}: going on with it\n", job_);
  if (state != net::JobState::kFailed && state != net::JobState::kCancelled) return {};
  KILN_TRY(patiently([&] { return link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kRetry}); }));
  return {};
}

Result<net::JobStatus> LaunchJob::watch() {
  std::uint64_t revision = 0;
  for (;;) {
    KILN_TRY_ASSIGN(net::JobStatus status,
                    patiently([&] { return wait_for_change(*link_, job_, revision, !global_.json); }));
    revision = status.revision;
    if (has_ended(status.summary.state)) return status;
    KILN_TRY(check_workers());
  }
}

Status LaunchJob::check_workers() {
  KILN_TRY_ASSIGN(const auto farm, patiently([&] { return link_->ask_for<net::FarmStatus>(net::GetStatus{}); }));
  if (farm.workers > 0) worker_seen_ = Clock::now();
  if (Clock::now() - worker_seen_ < patience_.nobody) return {};
  return fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable,
                         "no worker for {} s: can the other hosts reach {}? (--address names another one)",
                         patience_.nobody.count() / 1000, coordinator_.endpoint));
}

// What was fetched is no longer needed in the store.
Status LaunchJob::fetch(const net::JobStatus& status) {
  const FetchOptions options{job_, flags_.output, flags_.overwrite};
  KILN_TRY_ASSIGN(const auto paths, patiently([&] { return fetch_results(*link_, status, options); }));
  for (const std::string& path : paths) {
    if (!global_.json) fmt::print("{}\n", path);
  }
  KILN_TRY(patiently([&] { return link_->ask_for<net::Done>(net::ControlJob{job_, net::JobVerb::kRemove}); }));
  return {};
}

// Each is told until it has said goodbye: one that was killed meanwhile comes back and knows nothing of it.
Status LaunchJob::dismiss_workers() {
  const auto began = Clock::now();
  std::set<std::string> settled;  // told, or given up
  for (;;) {
    KILN_TRY_ASSIGN(const auto list, patiently([&] { return link_->ask_for<net::WorkerList>(net::ListWorkers{}); }));
    bool waits = false;
    for (const net::WorkerStatus& worker : list.workers) {
      const bool lost = !worker.connected && worker.heard_s_ago > patience_.lost_s;
      waits = waits || !lost;
      if (lost || worker.connected) settled.insert(worker.worker);
      if (!worker.connected || worker.draining) continue;
      const auto done = link_->ask_for<net::Done>(net::Drain{worker.worker, true, true});
      if (!done) log::debug("{}: {}", worker.worker, done.error().message);
    }
    const bool all_settled = std::ranges::all_of(workers_, [&](const auto& name) { return settled.contains(name); });
    const auto waited = Clock::now() - began;
    if (!waits && (all_settled || waited > patience_.absent)) return {};
    if (waited > patience_.leave) {
      return fail(make_error(ErrorCode::kDeadlineExceeded, "{} of them did not leave", list.workers.size()));
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace kiln::cli
