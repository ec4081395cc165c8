// Leads latents from noise to a clip, by what a network says of them step by step.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/result.h"
#include "lane/core/flow_schedule.h"
#include "lane/core/unipc_plan.h"

namespace kiln::lane {

// Latents are float32 throughout, whatever the network computes in; they stay on their device, and nothing is waited for.
// UniPC keeps as many predictions as its order, and one set of latents. One thread; one clip.
class FlowSampler {
 public:
  [[nodiscard]] static Result<FlowSampler> create(const FlowSettings& settings);

  [[nodiscard]] const FlowSchedule& schedule() const { return schedule_; }
  [[nodiscard]] int next_step() const { return step_; }
  [[nodiscard]] bool done() const { return step_ >= settings_.end_step(); }

  // The latents of the step after next_step(). `prediction`: what the network said of `latents` at this one's timestep.
  [[nodiscard]] Result<at::Tensor> step(const at::Tensor& prediction, const at::Tensor& latents);

 private:
  FlowSampler(const FlowSettings& settings, FlowSchedule schedule);
  [[nodiscard]] at::Tensor euler_step(const at::Tensor& prediction, const at::Tensor& latents) const;
  [[nodiscard]] at::Tensor unipc_step(const at::Tensor& prediction, at::Tensor latents);

  FlowSettings settings_;
  FlowSchedule schedule_;
  std::vector<UniPcStep> plan_;     // from first_step on; empty for Euler
  std::vector<at::Tensor> clean_;   // clean latents as predicted, the newest last
  at::Tensor base_;                 // latents that the last predictor started from
  int step_ = 0;
};

// What the network says with the prompt, led away from what it says without: float32, before the sampler's step.
[[nodiscard]] at::Tensor guided(const at::Tensor& conditional, const at::Tensor& unconditional, double scale);

}  // namespace kiln::lane
