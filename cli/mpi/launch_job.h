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

class LaunchJob {
 public:
  // `workers`: the names under which workers come.
  LaunchJob(MpiFlags flags, FarmAddress coordinator, std::vector<std::string> workers, GlobalOptions global)
      : flags_(std::move(flags)), coordinator_(std::move(coordinator)), workers_(std::move(workers)), global_(global) {}

  // Prints the report, and returns the job's exit code. A coordinator that is away for a while is waited for.
  [[nodiscard]] Result<int> run();

 private:
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
  std::unique_ptr<FarmLink> link_;
  net::JobName job_;
  std::chrono::steady_clock::time_point worker_seen_ = std::chrono::steady_clock::now();
};

}  // namespace kiln::cli
