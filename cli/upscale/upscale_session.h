// `kiln run upscale`: one job of a farm that this command starts, followed to its end. Repeated, it finds the job of an
// earlier run and goes on.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/farm/blob_transfer.h"
#include "cli/farm/farm_link.h"
#include "cli/upscale/clip_work.h"
#include "cli/upscale/local_farm.h"
#include "cli/upscale/progress_line.h"

namespace kiln::cli {

inline constexpr std::uint32_t kFollowWaitMs = 200;                // signals and children are looked at in between
inline constexpr std::chrono::milliseconds kFarmPatience{30'000};  // of a coordinator that answers nothing
inline constexpr std::chrono::milliseconds kIdlePatience{3'000};   // of a job that waits while every lane is idle

// One thread runs it.
class UpscaleSession {
 public:
  // `signals`: a signalfd of SIGINT and SIGTERM. `on_joined` is told when every clip is in its place, before the wait
  // for an artifact that is still being made. All that is passed by reference outlives it.
  UpscaleSession(const UpscaleOptions& options, FileSystem& files, const FinishedClips& finished, LocalFarm& farm,
                 int signals, std::function<void(const UpscaleReport&)> on_joined);
  [[nodiscard]] Result<UpscaleReport> run(std::vector<ClipWork> clips);

 private:
  using Clock = std::chrono::steady_clock;

  // Phases.
  [[nodiscard]] Status connect();
  [[nodiscard]] Status begin();
  [[nodiscard]] Status submit();
  [[nodiscard]] Status start_over(const std::string& why);
  [[nodiscard]] Status follow();
  [[nodiscard]] Status wait_for_compiles();
  void leave_farm();

  [[nodiscard]] Status turn();  // waits for news of the job, and handles them
  [[nodiscard]] Status on_signal();
  [[nodiscard]] Status on_status(net::JobStatus status);
  [[nodiscard]] Error why_it_failed() const;
  [[nodiscard]] Status look_at_lanes();
  [[nodiscard]] Status fit_lanes(const net::WorkerStatus& worker);
  [[nodiscard]] Status check_progress_is_possible(const net::WorkerStatus& worker);
  [[nodiscard]] Status place_results();
  [[nodiscard]] Status place_result(std::uint32_t index);
  [[nodiscard]] Result<bool> fetch_result(BlobTransfer& store, std::uint32_t index, const net::BlobRef& result);
  void say_failures();
  void say_warnings();
  void show_progress();
  void fill_report();
  void fill_phases();
  [[nodiscard]] bool all_placed() const;
  [[nodiscard]] double elapsed_s() const;

  const UpscaleOptions& options_;
  FileSystem& files_;
  const FinishedClips& finished_;
  LocalFarm& farm_;
  int signals_;
  std::function<void(const UpscaleReport&)> on_joined_;
  std::vector<ClipWork> clips_;
  net::JobName job_;
  std::unique_ptr<FarmLink> link_;
  net::JobStatus before_;  // the job as this command found it
  net::JobStatus status_;
  std::optional<Clock::time_point> silent_since_;  // the coordinator answers nothing
  std::optional<Clock::time_point> idle_since_;
  Clock::time_point lanes_looked_at_;
  bool lanes_fit_ = false;
  std::size_t lanes_ = 0;  // of the worker, once it is there
  std::optional<Clock::time_point> worker_restarted_at_;  // with as many threads as an earlier run had
  std::uint64_t segments_done_ = 0;
  std::uint64_t tries_failed_ = 0;
  std::set<std::pair<std::uint64_t, std::uint32_t>> failures_said_;  // task and attempt
  std::set<std::string> warnings_said_;
  UpscaleReport report_;
  ProgressLine progress_;
  int interrupts_ = 0;
  bool rendered_ = false;
};

}  // namespace kiln::cli
