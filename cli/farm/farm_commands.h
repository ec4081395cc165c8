// What the client's commands do, once the command line is read.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/farm/command_words.h"
#include "cli/farm/farm_link.h"

namespace kiln::cli {

struct SubmitOptions {
  std::string file;
  bool wait = false;
  bool in_place = false;  // as the job file's key
};
[[nodiscard]] Result<int> submit_command(FarmLink& link, const SubmitOptions& options, const GlobalOptions& global);
// Until the job has ended; 0 when it is done, 1 when it failed or was cancelled.
[[nodiscard]] Result<int> watch_command(FarmLink& link, const net::JobName& job, const GlobalOptions& global);

[[nodiscard]] bool has_ended(net::JobState state);
// The job as it is when it has another revision, or after a while. `shows`: a line on stderr tells how far it is.
[[nodiscard]] Result<net::JobStatus> wait_for_change(FarmLink& link, const net::JobName& job, std::uint64_t revision,
                                                     bool shows);
// The report; returns the exit code.
int print_ended_job(net::JobStatus status, const GlobalOptions& global);

struct FetchOptions {
  net::JobName job;
  std::string output;  // a folder, or with one clip the file's name
  bool overwrite = false;
};
[[nodiscard]] Result<int> fetch_command(FarmLink& link, const FetchOptions& options, const GlobalOptions& global);
// Where results of these names go; exit code 73 when something is there already.
[[nodiscard]] Result<std::vector<std::string>> result_places(const std::vector<std::string>& names,
                                                             const FetchOptions& options);
// Of a job that is done; returns the files.
[[nodiscard]] Result<std::vector<std::string>> fetch_results(FarmLink& link, const net::JobStatus& status,
                                                             const FetchOptions& options);

[[nodiscard]] Result<int> logs_command(FarmLink& link, const LogsOptions& options, const GlobalOptions& global);

[[nodiscard]] Result<int> status_command(FarmLink& link, const net::JobName& job, const GlobalOptions& global);

// Asks one question and prints the answer.
[[nodiscard]] Result<int> plain_command(FarmLink& link, const net::ClientRequest& request, const GlobalOptions& global);

}  // namespace kiln::cli
