// A prompt to the frames of a clip: text, steps, frames. Its three stages can be run apart, so that latents are kept between
// the last two and a failed decode repeats no step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "lane/core/clip_size.h"
#include "lane/core/flow_schedule.h"
#include "lane/core/guidance_plan.h"
#include "lane/pipelines/latent_decoder.h"
#include "lane/pipelines/prompt_encoder.h"

namespace kiln::lane {

enum class GenerateStage { kText, kSteps, kDecode };

struct GenerateProgress {
  GenerateStage stage = GenerateStage::kText;
  int done = 0;
  int total = 0;         // steps of this run, or latent frames
  double seconds = 0.0;  // of the one that has just ended
};

// Each may be empty; called from the thread that runs the stage. An error of theirs ends it.
struct GenerateCallbacks {
  std::function<void(const GenerateProgress&)> on_progress;
  std::function<Status(int step, const at::Tensor& latents)> on_latents;  // after each step, counted from 0
  StopCheck stop;
};

// What each part computes in.
struct GeneratePrecision {
  sharding::GraphDtype text = sharding::GraphDtype::kFloat32;
  sharding::GraphDtype transformer = sharding::GraphDtype::kFloat32;
  sharding::GraphDtype vae = sharding::GraphDtype::kFloat32;
};

struct GenerateSettings {
  ClipSize size;
  FlowSettings flow;          // of solver and shift the package has its own: flow_settings_of
  GuidanceSettings guidance;  // boundary_ratio: the package's, whatever this says
  std::uint64_t seed = 0;
  std::optional<DecodeTiles> tiles = std::nullopt;
  GeneratePrecision precision = {};
  std::string device = "cpu";  // "cpu" | "cuda:N"
};

// Solver and shift as the package's manifest has them.
[[nodiscard]] FlowSettings flow_settings_of(const sharding::GeneratorManifest& manifest);

struct PromptStates {
  at::Tensor conditional;    // 1 x tokens x width
  at::Tensor unconditional;  // empty where no step needs it
};

// Each function loads what it needs and lets go of it at its end. `package` and callbacks are borrowed for the call.
// `negative` is encoded only where a step is guided.
[[nodiscard]] Result<PromptStates> encode_prompts(const GeneratorPackage& package, const GenerateSettings& settings,
                                                  const PromptTokens& prompt, const PromptTokens& negative,
                                                  const GenerateCallbacks& callbacks = {});

// The latents of the clip, float32. `start`: those before settings.flow.first_step; the noise of the seed where there are none,
// which is right for the first step alone.
[[nodiscard]] Result<at::Tensor> sample_latents(const GeneratorPackage& package, const GenerateSettings& settings,
                                                const PromptStates& prompts, const GenerateCallbacks& callbacks = {},
                                                const std::optional<at::Tensor>& start = std::nullopt);

[[nodiscard]] Status decode_latents(const GeneratorPackage& package, const GenerateSettings& settings, const at::Tensor& latents,
                                    const FrameSink& sink, const GenerateCallbacks& callbacks = {});

// All three.
[[nodiscard]] Status generate_clip(const GeneratorPackage& package, const GenerateSettings& settings, const PromptTokens& prompt,
                                   const PromptTokens& negative, const FrameSink& sink, const GenerateCallbacks& callbacks = {});

}  // namespace kiln::lane
