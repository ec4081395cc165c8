#include "cli/farm/farm_output.h"

#include <fmt/format.h>

#include "base/text.h"

namespace kiln::cli {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

std::string lane_name(LaneId lane) {
  if (lane == net::kCompileLane) return "compiler";
  if (net::is_compile_lane(lane)) return fmt::format("compiler {}", net::lane_of_compiler(lane).value);
  return std::to_string(lane.value);
}

std::string frames_text(const net::JobSummary& job) {
  if (job.frames_total == 0) return "-";
  return fmt::format("{}/{}", job.frames_done, job.frames_total);
}

// What a card can do, where it was measured.
std::string speed_line(const net::CardSpeed& speed) {
  constexpr double kGiga = 1e9;
  if (speed == net::CardSpeed()) return {};
  std::string rates;
  const auto add = [&](const char* name, double tflops) {
    if (tflops > 0.0) rates += fmt::format("{}{} {:.0f}", rates.empty() ? "" : ", ", name, tflops);
  };
  add("fp32", speed.float32_tflops);
  add("tf32", speed.tf32_tflops);
  add("fp16", speed.float16_tflops);
  add("bf16", speed.bfloat16_tflops);
  add("fp8", speed.fp8_tflops);
  return fmt::format("{:>29} TFLOP/s: {}; GB/s: memory {:.0f}, to the card {:.1f}, from it {:.1f}\n", "", rates,
                     speed.memory_bytes_per_s / kGiga, speed.to_device_bytes_per_s / kGiga, speed.to_host_bytes_per_s / kGiga);
}

std::string card_line(const net::LaneOffer& offer) {
  const net::CardFacts& card = offer.card;
  std::string line = fmt::format("{:>29} card {}: {}, {} of {} free when it started, driver {}, CUDA {}", "", card.index,
                                 offer.kind.device_name, format_bytes(card.free_bytes), format_bytes(card.memory_bytes),
                                 card.driver, card.cuda);
  if (card.link_generation > 0) line += fmt::format(", PCIe {} x{}", card.link_generation, card.link_width);
  if (card.numa_node >= 0) line += fmt::format(", NUMA node {}", card.numa_node);
  return line + "\n" + speed_line(card.speed);
}

}  // namespace

std::string_view to_string(net::JobState state) {
  switch (state) {
    case net::JobState::kWaiting: return "waiting";
    case net::JobState::kRunning: return "running";
    case net::JobState::kPaused: return "paused";
    case net::JobState::kDone: return "done";
    case net::JobState::kFailed: return "failed";
    case net::JobState::kCancelled: return "cancelled";
  }
  return "unknown";
}

std::string job_table(const net::JobList& list) {
  std::string out = fmt::format("{:<52} {:<9} {:>4} {:>13}  {}\n", "job", "state", "prio", "frames", "");
  for (const net::JobSummary& job : list.jobs) {
    out += fmt::format("{:<52} {:<9} {:>4} {:>13}  {}\n", job.job, to_string(job.state), job.priority, frames_text(job),
                       job.reason);
  }
  return out;
}

std::string job_text(const net::JobStatus& status) {
  const net::JobSummary& job = status.summary;
  std::string out = fmt::format("{} ({})\n  {}, frames {}{}{}\n", job.job, job.title, to_string(job.state), frames_text(job),
                                job.reason.empty() ? "" : "; ", job.reason);
  for (const net::ClipStatus& clip : status.clips) {
    out += fmt::format("  {} -> {}: {}\n", clip.source, clip.output,
                       clip.result.sha256.empty() ? fmt::format("{} segments done", clip.segments_done)
                                                  : fmt::format("{} frames of {}x{}", clip.frames, clip.width, clip.height));
    for (const std::string& warning : clip.warnings) out += fmt::format("    {}\n", warning);
  }
  for (const net::LaneShare& lane : status.lanes) {
    out += fmt::format("  {} lane {}: {} segments, {} frames\n", lane.worker, lane_name(lane.lane), lane.segments, lane.frames);
  }
  out += fmt::format("  compiles {} ({:.1f} s)   store hits {}   failed tries {}   lost lanes {}\n", status.compiles,
                     status.compile_s, status.store_hits, status.attempts_failed, status.lanes_lost);
  return out;
}

namespace {

// The first that has said something.
std::string shots_text(const net::JobStatus& status) {
  for (const net::ShotStanding& shot : status.shots) {
    if (shot.stage.stage.empty()) continue;
    return fmt::format("; shot {}: {}", shot.clip + 1, stage_text(shot.stage));
  }
  return {};
}

}  // namespace

std::string stage_text(const net::StageProgress& stage) {
  if (stage.stage.empty()) return "begins";
  if (stage.stage == "text") return "text is encoded";
  const bool steps = stage.stage == "steps";
  std::string out = fmt::format("{} {}/{}", steps ? "step" : "decoded", stage.done, stage.total);
  if (stage.each_s > 0.0) {
    const double left_s = static_cast<double>(stage.total - stage.done) * stage.each_s;
    out += fmt::format("  {:.1f} s {}  {} left{}", stage.each_s, steps ? "a step" : "each", format_seconds(left_s),
                       steps ? ", then decoding" : "");
  }
  return out;
}

std::string job_line(const net::JobStatus& status) {
  const net::JobSummary& job = status.summary;
  return fmt::format("{}: {}, frames {}, {} tasks run{}", job.job, to_string(job.state), frames_text(job),
                     status.running_tasks.size(), status.compiling ? ", compiling" : "") + shots_text(status);
}

std::string worker_table(const net::WorkerList& list) {
  std::string out = fmt::format("{:<24} {:>4} {:<10} {:<8} {:>9} {:>8}  {}\n", "worker", "lane", "state", "class", "budget",
                                "fps", "");
  for (const net::WorkerStatus& worker : list.workers) {
    for (const net::LaneStatus& lane : worker.lanes) {
      std::string note = lane.why;
      if (!worker.connected) note = fmt::format("silent for {:.0f} s", worker.heard_s_ago);
      if (worker.draining && note.empty()) note = "draining";
      if (note.empty() && lane.task != 0) note = fmt::format("task {}", lane.task);
      out += fmt::format("{:<24} {:>4} {:<10} {:<8} {:>5.0f} MiB {:>8.2f}  {}\n", worker.worker, lane.offer.lane.value,
                         worker.connected ? lane.state : "lost",
                         lane.offer.kind.arch == "cpu" ? lane.offer.kind.isa : lane.offer.kind.arch,
                         static_cast<double>(lane.offer.budget_bytes) / kMiB, lane.frames_per_second, note);
      if (!lane.offer.card.uuid.empty()) out += card_line(lane.offer);
    }
  }
  return out;
}

std::string farm_text(const net::FarmStatus& status) {
  return fmt::format("jobs: {} waiting, {} running, {} ended\ntasks: {} waiting, {} running\n"
                     "workers: {}, lanes: {}, set aside: {}\nup for {}, {}\n",
                     status.jobs_waiting, status.jobs_running, status.jobs_ended, status.tasks_waiting, status.tasks_running,
                     status.workers, status.lanes, status.lanes_set_aside, format_seconds(status.uptime_s), status.version);
}

std::string log_table(const net::TaskLogs& logs) {
  std::string out;
  for (const net::AttemptLog& one : logs.attempts) {
    out += fmt::format("attempt {} on {} lane {}: {}{}\n", one.attempt, one.worker, lane_name(one.lane), one.outcome,
                       one.log.sha256.empty() ? " (no log)" : "");
  }
  return out;
}

}  // namespace kiln::cli
