// What the client's commands do, once the command line is read.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/farm/farm_link.h"

namespace kiln::cli {

struct SubmitOptions {
  std::string file;
  bool wait = false;
};
[[nodiscard]] Result<int> submit_command(FarmLink& link, const SubmitOptions& options, const GlobalOptions& global);
// Until the job has ended; 0 when it is done, 1 when it failed or was cancelled.
[[nodiscard]] Result<int> watch_command(FarmLink& link, const net::JobName& job, const GlobalOptions& global);

struct FetchOptions {
  net::JobName job;
  std::string output;  // a folder, or with one clip the file's name
  bool overwrite = false;
};
[[nodiscard]] Result<int> fetch_command(FarmLink& link, const FetchOptions& options, const GlobalOptions& global);

struct LogsOptions {
  std::uint64_t task = 0;
  std::uint32_t attempt = 0;  // 0: the latest that has one
};
[[nodiscard]] Result<int> logs_command(FarmLink& link, const LogsOptions& options, const GlobalOptions& global);

// Asks one question and prints the answer.
[[nodiscard]] Result<int> plain_command(FarmLink& link, const net::ClientRequest& request, const GlobalOptions& global);

}  // namespace kiln::cli
