// The settings of a farm.
#include <array>

#include "cli/config_table.h"

namespace kiln::cli {
namespace {

constexpr int kMostHeartbeatMs = 60'000;
constexpr int kMostWaitMs = 3'600'000;
constexpr int kMostWaitS = 86'400;
constexpr int kMostJobs = 100'000;  // as many as a list of jobs holds
constexpr int kMostAttempts = 1'000;
constexpr int kMostMib = 1'048'576;
constexpr int kMostSegmentFrames = 100'000;
constexpr int kLeastSnapshotFacts = 100;
constexpr int kMostSnapshotFacts = 100'000'000;

const std::array kSettings{
    Setting{"farm.heartbeat_ms", "KILN_FARM_HEARTBEAT_MS", kPlace<&Config::farm, &FarmSettings::heartbeat_ms>,
            "milliseconds between two signs of life of a worker", 100, kMostHeartbeatMs},
    Setting{"farm.worker_silence_ms", "KILN_FARM_WORKER_SILENCE_MS", kPlace<&Config::farm, &FarmSettings::worker_silence_ms>,
            "milliseconds without a sign of life after which a worker is lost; at least twice heartbeat_ms", 200, kMostWaitMs},
    Setting{"farm.worker_forget_s", "KILN_FARM_WORKER_FORGET_S", kPlace<&Config::farm, &FarmSettings::worker_forget_s>,
            "seconds that a lost worker stays in the list", 1, kMostWaitS},
    Setting{"farm.orphan_grace_ms", "KILN_FARM_ORPHAN_GRACE_MS", kPlace<&Config::farm, &FarmSettings::orphan_grace_ms>,
            "milliseconds after a restart in which workers may come back to what they work on", 100, kMostWaitMs},
    Setting{"farm.jobs_max", "KILN_FARM_JOBS_MAX", kPlace<&Config::farm, &FarmSettings::jobs_max>,
            "jobs that are kept, ended ones included", 1, kMostJobs},
    Setting{"farm.lane_failures_in_a_row", "KILN_FARM_LANE_FAILURES_IN_A_ROW", kPlace<&Config::farm, &FarmSettings::lane_failures_in_a_row>,
            "failures after which a lane is set aside", 1, kMostAttempts},
    Setting{"farm.lanes_per_task", "KILN_FARM_LANES_PER_TASK", kPlace<&Config::farm, &FarmSettings::lanes_per_task>,
            "lanes that fail a task, whatever the class, before its job fails: then it is the task", 1, kMostAttempts},
    Setting{"farm.compile_attempts", "KILN_FARM_COMPILE_ATTEMPTS", kPlace<&Config::farm, &FarmSettings::compile_attempts>,
            "tries of one compile; then frames stay uncompiled", 1, kMostAttempts},
    Setting{"farm.segment_target_ms", "KILN_FARM_SEGMENT_TARGET_MS", kPlace<&Config::farm, &FarmSettings::segment_target_ms>,
            "milliseconds that one segment is to take", 100, kMostWaitMs},
    Setting{"farm.segment_ahead_ms", "KILN_FARM_SEGMENT_AHEAD_MS", kPlace<&Config::farm, &FarmSettings::segment_ahead_ms>,
            "milliseconds before the end of its segment at which a lane is given the next", 0, kMostWaitMs},
    Setting{"farm.segment_frames_first", "KILN_FARM_SEGMENT_FRAMES_FIRST", kPlace<&Config::farm, &FarmSettings::segment_frames_first>,
            "frames of a segment while the lane's speed is not known", 1, kMostSegmentFrames},
    Setting{"farm.segment_frames_min", "KILN_FARM_SEGMENT_FRAMES_MIN", kPlace<&Config::farm, &FarmSettings::segment_frames_min>,
            "least frames of a segment, but at the end of a clip", 1, kMostSegmentFrames},
    Setting{"farm.segment_frames_max", "KILN_FARM_SEGMENT_FRAMES_MAX", kPlace<&Config::farm, &FarmSettings::segment_frames_max>,
            "most frames of a segment", 1, kMostSegmentFrames},
    Setting{"farm.snapshot_facts", "KILN_FARM_SNAPSHOT_FACTS", kPlace<&Config::farm, &FarmSettings::snapshot_facts>,
            "facts of the journal between two snapshots, which a start reads instead of them", kLeastSnapshotFacts,
            kMostSnapshotFacts},
    Setting{"farm.failures.out_of_memory.attempts", "KILN_FARM_OUT_OF_MEMORY_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::out_of_memory, &FailureSettings::attempts>,
            "tries of one task that may end with a lane that ran out of memory, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.out_of_memory.blames_lane", "KILN_FARM_OUT_OF_MEMORY_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::out_of_memory, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.crash.attempts", "KILN_FARM_CRASH_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::crash, &FailureSettings::attempts>,
            "tries of one task that may end with a lane that died, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.crash.blames_lane", "KILN_FARM_CRASH_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::crash, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.hang.attempts", "KILN_FARM_HANG_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::hang, &FailureSettings::attempts>,
            "tries of one task that may end with a lane that gave no sign of life, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.hang.blames_lane", "KILN_FARM_HANG_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::hang, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.error.attempts", "KILN_FARM_ERROR_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::error, &FailureSettings::attempts>,
            "tries of one task that may end with a task that ended with an error, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.error.blames_lane", "KILN_FARM_ERROR_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::error, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.lost_lane.attempts", "KILN_FARM_LOST_LANE_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::lost_lane, &FailureSettings::attempts>,
            "tries of one task that may end with a worker that fell silent or began anew, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.lost_lane.blames_lane", "KILN_FARM_LOST_LANE_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::lost_lane, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.bad_input.attempts", "KILN_FARM_BAD_INPUT_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::bad_input, &FailureSettings::attempts>,
            "tries of one task that may end with a source that cannot be read, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.bad_input.blames_lane", "KILN_FARM_BAD_INPUT_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::bad_input, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.artifact_mismatch.attempts", "KILN_FARM_ARTIFACT_MISMATCH_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::artifact_mismatch, &FailureSettings::attempts>,
            "tries of one task that may end with an artifact that a lane refused, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.artifact_mismatch.blames_lane", "KILN_FARM_ARTIFACT_MISMATCH_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::artifact_mismatch, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"farm.failures.store_full.attempts", "KILN_FARM_STORE_FULL_ATTEMPTS",
            kPlace<&Config::farm, &FarmSettings::store_full, &FailureSettings::attempts>,
            "tries of one task that may end with a store that had no room for minutes, before its job fails", 1, kMostAttempts},
    Setting{"farm.failures.store_full.blames_lane", "KILN_FARM_STORE_FULL_BLAMES_LANE",
            kPlace<&Config::farm, &FarmSettings::store_full, &FailureSettings::blames_lane>,
            "whether it counts against the lane (farm.lane_failures_in_a_row)"},
    Setting{"worker.lane_start_s", "KILN_WORKER_LANE_START_S", kPlace<&Config::worker, &WorkerSettings::lane_start_s>,
            "seconds until a lane that is started must have said so", 1, kMostWaitS},
    Setting{"worker.lane_restart_s", "KILN_WORKER_LANE_RESTART_S", kPlace<&Config::worker, &WorkerSettings::lane_restart_s>,
            "most seconds between two starts of a lane that dies again and again", 1, kMostWaitS},
    Setting{"worker.lane_deaths_max", "KILN_WORKER_LANE_DEATHS_MAX", kPlace<&Config::worker, &WorkerSettings::lane_deaths_max>,
            "deaths of one lane in a row, before any did anything, after which the worker ends", 1, kMostAttempts},
    Setting{"worker.cancel_patience_s", "KILN_WORKER_CANCEL_PATIENCE_S", kPlace<&Config::worker, &WorkerSettings::cancel_patience_s>,
            "seconds until a lane that does not stop when told is killed", 1, kMostWaitS},
    Setting{"worker.transfer_patience_s", "KILN_WORKER_TRANSFER_PATIENCE_S", kPlace<&Config::worker, &WorkerSettings::transfer_patience_s>,
            "seconds that a transfer is tried again before the task is given back", 1, kMostWaitS},
    Setting{"worker.drain_patience_s", "KILN_WORKER_DRAIN_PATIENCE_S", kPlace<&Config::worker, &WorkerSettings::drain_patience_s>,
            "seconds that a worker which ends waits for its results to be taken", 1, kMostWaitS},
    Setting{"worker.broadcast_min_mib", "KILN_WORKER_BROADCAST_MIN_MIB", kPlace<&Config::worker, &WorkerSettings::broadcast_min_mib>,
            "weights of so many MiB or more go to one card of a host, and from there to the others that load them at the same time", 0,
            kMostMib},
};

}  // namespace

std::span<const Setting> farm_settings() { return kSettings; }

}  // namespace kiln::cli
