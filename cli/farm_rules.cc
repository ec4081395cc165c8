#include "cli/farm_rules.h"

namespace kiln::cli {

coordinator::FarmRules farm_rules(const FarmSettings& settings) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  const auto rule = [](const FailureSettings& one) { return coordinator::FailureRule{one.attempts, one.blames_lane}; };
  coordinator::FarmRules rules;
  rules.failures = {{net::FailureKind::kOutOfMemory, rule(settings.out_of_memory)},
                    {net::FailureKind::kCrash, rule(settings.crash)},
                    {net::FailureKind::kHang, rule(settings.hang)},
                    {net::FailureKind::kError, rule(settings.error)},
                    {net::FailureKind::kLostLane, rule(settings.lost_lane)},
                    {net::FailureKind::kBadInput, rule(settings.bad_input)},
                    {net::FailureKind::kArtifactMismatch, rule(settings.artifact_mismatch)},
                    {net::FailureKind::kStoreFull, rule(settings.store_full)}};
  rules.lane_failures_in_a_row = settings.lane_failures_in_a_row;
  rules.lanes_per_task = static_cast<std::size_t>(settings.lanes_per_task);
  rules.compile_attempts = settings.compile_attempts;
  rules.jobs_max = static_cast<std::size_t>(settings.jobs_max);
  rules.heartbeat_ms = static_cast<std::uint32_t>(settings.heartbeat_ms);
  rules.worker_silence_max = milliseconds(settings.worker_silence_ms);
  rules.worker_forget_after = seconds(settings.worker_forget_s);
  rules.orphan_grace = milliseconds(settings.orphan_grace_ms);
  rules.segment_target_ms = settings.segment_target_ms;
  rules.segment_ahead_ms = settings.segment_ahead_ms;
  rules.segment_frames_first = settings.segment_frames_first;
  rules.segment_frames_min = settings.segment_frames_min;
  rules.segment_frames_max = settings.segment_frames_max;
  return rules;
}

worker::WorkerRules worker_rules(const Config& config) {
  using std::chrono::seconds;
  worker::WorkerRules rules;
  rules.lane_silence_max = seconds(config.lane_silence_s);
  rules.lane_start_max = seconds(config.worker.lane_start_s);
  rules.restart_most = seconds(config.worker.lane_restart_s);
  rules.deaths_max = config.worker.lane_deaths_max;
  rules.cancel_patience = seconds(config.worker.cancel_patience_s);
  rules.transfer_patience = seconds(config.worker.transfer_patience_s);
  rules.drain_patience = seconds(config.worker.drain_patience_s);
  rules.broadcast_bytes_min = static_cast<std::uint64_t>(config.worker.broadcast_min_mib) << 20U;
  return rules;
}

}  // namespace kiln::cli
