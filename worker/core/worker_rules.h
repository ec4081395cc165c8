// Bounds and patience of a worker. Plain values; tests and the simulator shorten them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace kiln::worker {

// A clock that the simulator moves: milliseconds since any start, never backwards.
using WorkerTime = std::chrono::milliseconds;

inline constexpr std::size_t kEndedTasksKept = 4096;  // (task, attempt) that are over: late messages name them
inline constexpr std::size_t kTasksPerSlotMax = 8;    // a coordinator gives fewer; those that it gave up may still be here
inline constexpr int kSegmentsPerLaneMax = 2;         // that a lane is told to run side by side

struct WorkerRules {
  WorkerTime hello_interval{2'000};      // until the coordinator answers
  WorkerTime heartbeat_interval{2'000};  // until it says another one
  WorkerTime report_interval{10'000};    // of a result that was not taken
  WorkerTime progress_interval{500};     // of one task, at least
  WorkerTime renewal_interval{10'000};   // between two requests for new grants
  std::int64_t renewal_margin_s = 300;   // ask when the grants last for less

  WorkerTime lane_silence_max{600'000};  // without a sign of life, then it hangs
  WorkerTime lane_start_max{120'000};    // until it says hello
  WorkerTime cancel_patience{10'000};    // until a cancelled lane is killed
  WorkerTime restart_first{1'000};       // after the second death in a row; doubles
  WorkerTime restart_most{60'000};
  int deaths_max = 5;                    // of one lane, in a row, before any lane did anything: then nothing works here

  WorkerTime retry_first{500};           // of a transfer; doubles
  WorkerTime retry_most{10'000};
  WorkerTime transfer_patience{180'000};  // then the task fails, and another worker may reach the store
  WorkerTime name_patience{30'000};      // somebody else has our name: it may be our own former self
  WorkerTime compile_turn_patience{600'000};  // of a compile, for its card; then another worker may have one that is free
  WorkerTime drain_patience{60'000};     // for results to be taken when everything else is done
  std::uint64_t broadcast_bytes_min = std::uint64_t{1} << 30U;  // of weights: smaller ones each card takes from the host
  bool operator==(const WorkerRules&) const = default;
};

}  // namespace kiln::worker
