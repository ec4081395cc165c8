// The farm of one command on this machine: a coordinator (with its store) and a worker as children, which no other
// program is let in to and which die with the command. What they hold is in the state folder, so that the next
// command with the same folder goes on.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/kept_process.h"
#include "cli/upscale/upscale_options.h"

namespace kiln::cli {

inline constexpr std::chrono::milliseconds kStopPatience{5'000};

// Owned by the thread that starts it: its children die with that thread.
class LocalFarm {
 public:
  explicit LocalFarm(const UpscaleOptions& options);
  ~LocalFarm();
  LocalFarm(const LocalFarm&) = delete;
  LocalFarm& operator=(const LocalFarm&) = delete;

  // Returns at once; they come up while the caller goes on.
  [[nodiscard]] Status start();
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  // A child that was killed is started again (KeptProcess); one that ends by itself, which none should, is the error.
  [[nodiscard]] Status look();
  // Lanes of a job that was begun have as many threads as they had.
  [[nodiscard]] Status restart_worker(int threads_per_lane);
  void stop();

  [[nodiscard]] std::string log_path(const std::string& child) const;

 private:
  struct Child {
    std::string name;
    UniqueFd log;
    std::optional<KeptProcess> process;
  };
  [[nodiscard]] Status choose_endpoint();
  [[nodiscard]] std::string config_path() const;  // the settings of this command, for its children
  [[nodiscard]] std::vector<std::string> worker_command(int threads_per_lane) const;
  [[nodiscard]] Status spawn(Child& child, std::vector<std::string> argv);
  [[nodiscard]] Status look_at(Child& child);
  void stop_worker();

  const UpscaleOptions& options_;
  std::string endpoint_;
  std::string short_folder_;  // ours to remove; empty: the socket lies in the state folder
  Child coordinator_;
  Child worker_;
};

}  // namespace kiln::cli
