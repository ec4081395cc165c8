#include "lane/pipelines/flow_sampler.h"

#include <c10/core/ScalarType.h>

#include "base/check.h"
#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

// Products and sums are those of UniPCMultistepScheduler, one by one: fewer would do, and round otherwise. `latest`: where
// the latents have been seen by the network since (correctors).
at::Tensor updated(const UniPcUpdate& update, const at::Tensor& base, const std::vector<at::Tensor>& clean,
                   const at::Tensor* latest) {
  const at::Tensor& newest = clean.back();
  at::Tensor result = base.mul(update.keep).sub_(newest.mul(update.newest));
  at::Tensor change;
  const auto add = [&change](at::Tensor term) { change = change.defined() ? change.add_(term) : std::move(term); };
  for (std::size_t i = 0; i < update.older.size(); ++i) {
    const at::Tensor& older = clean[clean.size() - 2 - i];
    add(older.sub(newest).div_(update.older[i].ratio).mul_(update.older[i].weight));
  }
  if (latest != nullptr) add(latest->sub(newest).mul_(update.latest_weight));
  return change.defined() ? result.sub_(change.mul_(update.change)) : result;
}

}  // namespace

FlowSampler::FlowSampler(const FlowSettings& settings, FlowSchedule schedule)
    : settings_(settings), schedule_(std::move(schedule)), step_(settings.first_step) {
  if (settings.solver == FlowSolver::kUniPc) plan_ = plan_unipc(schedule_.sigmas, settings.order, settings.first_step);
}

Result<FlowSampler> FlowSampler::create(const FlowSettings& settings) {
  KILN_TRY_ASSIGN(FlowSchedule schedule, make_flow_schedule(settings));
  return FlowSampler(settings, std::move(schedule));
}

at::Tensor FlowSampler::euler_step(const at::Tensor& prediction, const at::Tensor& latents) const {
  const auto step = static_cast<std::size_t>(step_);
  return prediction.mul(schedule_.sigmas[step + 1] - schedule_.sigmas[step]).add_(latents);
}

at::Tensor FlowSampler::unipc_step(const at::Tensor& prediction, at::Tensor latents) {
  const UniPcStep& step = plan_[static_cast<std::size_t>(step_ - settings_.first_step)];
  at::Tensor clean = latents.sub(prediction.mul(step.sigma));
  if (step.corrector) latents = updated(*step.corrector, base_, clean_, &clean);
  clean_.push_back(std::move(clean));
  if (clean_.size() > static_cast<std::size_t>(settings_.order)) clean_.erase(clean_.begin());
  base_ = std::move(latents);
  return updated(step.predictor, base_, clean_, nullptr);
}

Result<at::Tensor> FlowSampler::step(const at::Tensor& prediction, const at::Tensor& latents) {
  KILN_CHECK(!done(), "step {} of {}", step_, settings_.end_step());
  if (prediction.sizes() != latents.sizes() || prediction.device() != latents.device() ||
      latents.scalar_type() != at::kFloat) {
    return fail(make_error(ErrorCode::kInternal, "step {}: latents and prediction differ in size or device, or latents "
                           "are not float32", step_ + 1));
  }
  try {
    const at::Tensor said = prediction.to(at::kFloat);
    at::Tensor next = settings_.solver == FlowSolver::kEuler ? euler_step(said, latents) : unipc_step(said, latents);
    ++step_;
    return next;
  } catch (...) {
    return fail(error_from_torch_exception("stepping the latents"));
  }
}

at::Tensor guided(const at::Tensor& conditional, const at::Tensor& unconditional, double scale) {
  const at::Tensor without = unconditional.to(at::kFloat);
  return conditional.to(at::kFloat).sub(without).mul_(scale).add_(without);
}

}  // namespace kiln::lane
