// How noisy latents are at each step of a generated clip, as diffusers counts it. Pure.
#pragma once

#include <vector>

#include "base/result.h"

namespace kiln::lane {

enum class FlowSolver { kEuler, kUniPc };

inline constexpr int kFlowOrderMax = 3;

struct FlowSettings {
  FlowSolver solver = FlowSolver::kUniPc;
  double shift = 3.0;  // above 1: more of the steps where there is much noise
  int steps = 50;
  int train_timesteps = 1000;  // that the network was trained with
  int order = 2;               // UniPC's: how many predictions a step looks at
  // Of the schedule's steps those in [first_step, last_step) are run: latents may come from elsewhere, or go on there.
  int first_step = 0;
  int last_step = -1;  // -1: all that follow

  [[nodiscard]] int end_step() const { return last_step < 0 ? steps : last_step; }
};

struct FlowSchedule {
  std::vector<float> sigmas;     // share of noise before each step, and the 0 behind the last
  std::vector<float> timesteps;  // what the network is told at each step; whole numbers for UniPC
};

[[nodiscard]] Result<FlowSchedule> make_flow_schedule(const FlowSettings& settings);

}  // namespace kiln::lane
