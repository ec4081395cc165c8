// Bounds and rules of the coordinator. Those of FarmRules come from the configuration ([farm], cli/farm_rules.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include "net/farm_tasks.h"

namespace kiln::coordinator {

inline constexpr std::size_t kAttemptsKept = 16;      // of one task, for `logs` and `trace`
inline constexpr std::size_t kWaitersMax = 4096;      // clients that wait for a job to change
inline constexpr std::size_t kWaitersPerPassMax = 512;
inline constexpr std::size_t kBudgetsMax = 16;      // that one probe plans tiles for
inline constexpr std::size_t kSpeedsKept = 64;      // of one lane, by what it renders
inline constexpr std::uint32_t kWaitMsMax = 30'000;
inline constexpr int kArtifactLossesMax = 4;  // of one key, told by one job; a store that keeps nothing is not compiled for
inline constexpr std::int64_t kSegmentsPerClipMax = 65'536;  // more do not fit into the message of a join

// What follows from a class of failure.
struct FailureRule {
  int attempts = 3;        // of one task with this class, on distinct lanes where there are any
  bool blames_lane = true; // counts against the lane
  bool operator==(const FailureRule&) const = default;
};

// Bugs that tests switch on, to see that the simulator finds them. None in production.
enum class SeededBug : std::uint8_t {
  kNone,
  kAcknowledgeBeforeJournal,
  kStaleAttemptAccepted,
  kDoubleAssignmentAfterPartition,
  kLostFence,
  kForgottenSegmentAfterRestart,
  kEvictedInput,
  kCancelThatResurrects,
  kRetryWithoutEnd,
};

struct FarmRules {
  std::map<net::FailureKind, FailureRule> failures = {
      {net::FailureKind::kOutOfMemory, {3, true}},      {net::FailureKind::kCrash, {3, true}},
      {net::FailureKind::kHang, {3, true}},             {net::FailureKind::kError, {3, true}},
      {net::FailureKind::kLostLane, {8, false}},        {net::FailureKind::kBadInput, {1, false}},
      {net::FailureKind::kArtifactMismatch, {3, false}}, {net::FailureKind::kStoreFull, {3, false}}};
  int lane_failures_in_a_row = 3;       // then it is set aside
  std::size_t lanes_per_task = 3;       // that fail a task, whatever the class: it is the task
  int compile_attempts = 2;             // of one key; then frames stay uncompiled
  std::size_t jobs_max = 10'000;        // that are kept, ended ones included
  std::uint32_t heartbeat_ms = 2'000;
  std::chrono::milliseconds worker_silence_max{12'000};  // then its tasks go elsewhere
  std::chrono::milliseconds worker_forget_after{600'000};  // silent ones are listed this long
  std::chrono::milliseconds orphan_grace{15'000};        // after a restart, for workers to come back
  std::int64_t segment_target_ms = 10'000;
  std::int64_t segment_frames_min = 8;
  std::int64_t segment_frames_max = 1'000;
  std::int64_t segment_frames_first = 16;  // while a lane's speed is not known
  std::int64_t segment_ahead_ms = 2'000;   // before a lane has rendered its segment it is given the next; negative: not before
  SeededBug bug = SeededBug::kNone;  // of tests alone
  bool operator==(const FarmRules&) const = default;
};

}  // namespace kiln::coordinator
