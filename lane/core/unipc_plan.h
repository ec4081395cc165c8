// UniPC's steps as sums of tensors, worked out before the first one: all that depends on sigmas alone. Pure.
//
// The solver ("bh2", predicting the clean latents, ending without noise) is that of UniPCMultistepScheduler. Numbers are
// single precision and made in its order: where noise hardly changes between two steps, their logarithms differ in the
// last digits, and better ones would lead elsewhere.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace kiln::lane {

// An older prediction x of the clean latents, beside the newest one m: (x - m) / ratio * weight.
struct OlderPrediction {
  float ratio = 0;
  float weight = 0;
};

// latents = keep * base - newest * m - change * (sum of older predictions + latest_weight * (latest - m))
struct UniPcUpdate {
  float keep = 0;
  float newest = 0;
  float change = 0;
  std::vector<OlderPrediction> older;  // the one before m first
  float latest_weight = 0;             // correctors only: `latest` was predicted where they lead to
};

struct UniPcStep {
  float sigma = 0;  // clean latents = latents - sigma * what the network says
  // Mends the latents that the step before led to, now that the network has seen them. Base: those it started from.
  std::optional<UniPcUpdate> corrector;
  UniPcUpdate predictor;  // base: the latents, mended
};

// `sigmas` as in a schedule, the last one 0; one entry for each step from `first_step` on.
[[nodiscard]] std::vector<UniPcStep> plan_unipc(std::span<const float> sigmas, int order, int first_step);

}  // namespace kiln::lane
