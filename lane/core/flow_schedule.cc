#include "lane/core/flow_schedule.h"

#include <cmath>

namespace kiln::lane {
namespace {

// A share of noise of exactly 1 has no logarithm of its signal: UniPC starts this much below.
constexpr double kFirstSigmaGap = 1e-6;

double shifted(double shift, double sigma) { return shift * sigma / (1 + (shift - 1) * sigma); }

// As numpy.linspace counts: start + i * step, and the last value is `stop` itself.
std::vector<double> evenly_spaced(double start, double stop, int count) {
  std::vector<double> values;
  const double step = count > 1 ? (stop - start) / (count - 1) : 0;
  for (int i = 0; i < count; ++i) values.push_back(i * step + start);
  if (count > 1) values.back() = stop;
  return values;
}

// The least noise that the network was trained with, shifted; in single precision, as diffusers keeps it.
double smallest_sigma(const FlowSettings& settings) {
  const float sigma = 1.0F / static_cast<float>(settings.train_timesteps);
  const auto shift = static_cast<float>(settings.shift);
  return shift * sigma / (1.0F + static_cast<float>(settings.shift - 1) * sigma);
}

// Sigmas are shifted again on their way from the largest to the smallest, which is shifted already.
FlowSchedule euler_schedule(const FlowSettings& settings) {
  FlowSchedule schedule;
  const double train = settings.train_timesteps;
  for (const double timestep : evenly_spaced(train, smallest_sigma(settings) * train, settings.steps)) {
    const auto sigma = static_cast<float>(shifted(settings.shift, timestep / train));
    schedule.sigmas.push_back(sigma);
    schedule.timesteps.push_back(sigma * static_cast<float>(train));
  }
  return schedule;
}

FlowSchedule unipc_schedule(const FlowSettings& settings) {
  FlowSchedule schedule;
  const double train = settings.train_timesteps;
  std::vector<double> sigmas = evenly_spaced(1, 1 / train, settings.steps + 1);
  sigmas.pop_back();
  for (double& sigma : sigmas) sigma = shifted(settings.shift, sigma);
  if (std::fabs(sigmas.front() - 1) < kFirstSigmaGap) sigmas.front() -= kFirstSigmaGap;
  for (const double sigma : sigmas) {
    schedule.sigmas.push_back(static_cast<float>(sigma));
    schedule.timesteps.push_back(static_cast<float>(std::trunc(sigma * train)));
  }
  return schedule;
}

Status check(const FlowSettings& settings) {
  constexpr ErrorCode kBad = ErrorCode::kInvalidArgument;
  if (settings.train_timesteps < 2) {
    return fail(make_error(kBad, "a model trained with {} timesteps has no schedule", settings.train_timesteps));
  }
  if (settings.steps < 1 || settings.steps > settings.train_timesteps) {
    return fail(make_error(kBad, "{} steps: from 1 to {}, the timesteps that the model was trained with, can be run",
                           settings.steps, settings.train_timesteps));
  }
  if (!std::isfinite(settings.shift) || settings.shift <= 0) {
    return fail(make_error(kBad, "a shift of {}: it is a number above 0 (3 for 480p and 5 for 720p are usual)",
                           settings.shift));
  }
  if (settings.order < 1 || settings.order > kFlowOrderMax) {
    return fail(make_error(kBad, "a solver of order {}: from 1 to {} are known", settings.order, kFlowOrderMax));
  }
  const int end = settings.end_step();
  if (settings.first_step < 0 || settings.first_step >= end || end > settings.steps) {
    return fail(make_error(kBad, "steps {} to {} of {} are none that can be run", settings.first_step, end,
                           settings.steps));
  }
  return {};
}

}  // namespace

Result<FlowSchedule> make_flow_schedule(const FlowSettings& settings) {
  KILN_TRY(check(settings));
  FlowSchedule schedule =
      settings.solver == FlowSolver::kEuler ? euler_schedule(settings) : unipc_schedule(settings);
  schedule.sigmas.push_back(0);
  return schedule;
}

}  // namespace kiln::lane
