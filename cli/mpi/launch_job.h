// The one job of a launch, seen from rank 0: handed in, watched, fetched; then the workers are told to leave.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/farm/farm_commands.h"
#include "cli/farm/job_file.h"
#include "cli/mpi/rank_command.h"

namespace kiln::cli {

// The job of this file, and where its results go. Errors are those of `kiln submit` and `kiln fetch`; nothing was
// started yet. The job is named after its file and sources, so that the same command, repeated, means the same job.
[[nodiscard]] Result<JobDraft> read_launch_job(const MpiFlags& flags);

// How long a launch waits; what it says when it does no longer is in docs/bounds.md.
struct LaunchPatience {
  std::chrono::milliseconds coordinator_away{120'000};  // it is started again by its rank
  std::chrono::milliseconds nobody{180'000};            // without any worker; then the launch is over
  // After the job: how long workers that never came are waited for, those that were killed and may come back (since they
  // were heard last), and those that finish something. A compile that has begun is finished; it may take long.
  std::chrono::milliseconds absent{20'000};
  double lost_s = 30;
  std::chrono::milliseconds leave{1'200'000};
};

class LaunchJob {
 public:
  // `workers`: the names under which workers come.
  LaunchJob(MpiFlags flags, FarmAddress coordinator, std::vector<std::string> workers, GlobalOptions global,
            LaunchPatience patience = {})
      : flags_(std::move(flags)), coordinator_(std::move(coordinator)), workers_(std::move(workers)), global_(global),
        patience_(patience) {}

  // Prints the report, and returns the job's exit code. A coordinator that is away for a while is waited for.
  [[nodiscard]] Result<int> run();

 private:
  // Until it works, or fails for another reason than that the coordinator or its store is away.
  template <typename Try>
  auto patiently(Try attempt) -> decltype(attempt());
  [[nodiscard]] Status connect();
  [[nodiscard]] Result<int> finish();
  [[nodiscard]] Status hand_in();
  [[nodiscard]] Result<net::JobStatus> watch();
  [[nodiscard]] Status check_workers();
  [[nodiscard]] Status fetch(const net::JobStatus& status);
  [[nodiscard]] Status dismiss_workers();

  MpiFlags flags_;
  FarmAddress coordinator_;
  std::vector<std::string> workers_;
  GlobalOptions global_;
  LaunchPatience patience_;
  std::unique_ptr<FarmLink> link_;
  net::JobName job_;
  std::chrono::steady_clock::time_point worker_seen_ = std::chrono::steady_clock::now();
};

}  // namespace kiln::cli
