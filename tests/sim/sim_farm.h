// A whole farm in one thread and without any input or output: the real cores of coordinator and workers, and a clock, a
// network, a disk, lanes and a store that are made up and fail as a seed says. The same seed gives the same run.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/farm_step.h"
#include "coordinator/effect_gate.h"
#include "worker/core/worker_step.h"

namespace kiln::sim {

using Millis = std::chrono::milliseconds;

// How much goes wrong. Chances are per message, task or second, in thousandths, where nothing else is said.
struct SimProfile {
  int workers = 3;
  int lanes = 2;
  int jobs = 14;
  int clip_frames = 500;
  int loss = 10;
  int duplicates = 10;
  int delay_ms_max = 200;
  int partitions = 15;          // a worker is cut off for a while, per second
  int coordinator_crashes = 8;  // per second
  int worker_crashes = 8;
  int worker_stops = 8;  // by a signal: it finishes what it renders
  int crashes_between_steps = 15;  // of the coordinator or a worker, after any one effect of a step, in hundred thousandths
  int full_disks = 5;           // the coordinator's, or the store's, for a while, per second
  int task_faults = 40;         // a lane fails its task in one way or another
  int transfer_faults = 20;
  int disk_delay_ms_max = 30;
  int cancels = 5;              // of some job, mostly one that has not ended, per second
  int clock_jumps = 10;         // of the wall clock of some machine, by up to a day either way, per second
  int evictions = 200;          // the store throws away what nobody keeps, per second
  int bad_job = 1;              // has a frame on which every lane fails; -1: none
  Millis faults_last{400'000};
  Millis calm_lasts{1'200'000};  // then everything must have ended
  coordinator::SeededBug bug = coordinator::SeededBug::kNone;
};

struct SimResult {
  std::uint64_t events = 0;
  std::string violation;  // empty: all invariants held and everything ended
  std::vector<std::string> last_events;
  std::map<std::string, std::uint64_t> counts;  // what happened, so that a quiet simulator is noticed
};

[[nodiscard]] SimResult run_farm(std::uint64_t seed, const SimProfile& profile);

}  // namespace kiln::sim
