#include "lane/pipelines/clip_generator.h"

#include <c10/core/InferenceMode.h>

#include <chrono>
#include <vector>

#include "lane/engine/torch_types.h"
#include "lane/engine/weight_read_ahead.h"
#include "lane/pipelines/flow_sampler.h"
#include "lane/pipelines/flow_transformer.h"
#include "lane/pipelines/initial_noise.h"
#include "lane/pipelines/stopwatch.h"

namespace kiln::lane {
namespace {

// What is known of a run before anything is loaded: which step does what, and by which network.
struct RunPlan {
  FlowSchedule schedule;
  GuidancePlan guidance;
  LatentSize size;
  std::vector<std::string> experts;  // names of weights: the high-noise expert's, the low-noise one's

  [[nodiscard]] bool needs_unconditional() const {
    return guidance.passes > static_cast<int>(guidance.steps.size());
  }
  [[nodiscard]] const std::string& expert_of(const GuidedStep& step) const {
    return step.expert == Expert::kHighNoise ? experts.front() : experts.back();
  }
};

Result<std::vector<std::string>> experts_of(const sharding::GeneratorManifest& manifest) {
  std::vector<std::string> names;
  for (const sharding::GeneratorWeights& weights : manifest.weights) {
    if (weights.part == "transformer") names.push_back(weights.name);
  }
  const std::size_t wanted = manifest.boundary_ratio ? 2 : 1;
  if (names.size() == wanted) return names;
  return fail(input_refused("{}: {} sets of weights for the transformer, and {} a boundary between experts", manifest.name,
                            names.size(), manifest.boundary_ratio ? "there is" : "there is not"));
}

Result<RunPlan> plan_run(const sharding::GeneratorManifest& manifest, const GenerateSettings& settings) {
  RunPlan plan;
  KILN_TRY_ASSIGN(plan.size, latent_size_of(manifest, settings.size));
  KILN_TRY_ASSIGN(plan.experts, experts_of(manifest));
  KILN_TRY_ASSIGN(plan.schedule, make_flow_schedule(settings.flow));
  GuidanceSettings guidance = settings.guidance;
  guidance.boundary_ratio = manifest.boundary_ratio;
  guidance.train_timesteps = settings.flow.train_timesteps;
  const auto first = plan.schedule.timesteps.begin();
  const std::vector<float> timesteps(first + settings.flow.first_step, first + settings.flow.end_step());
  KILN_TRY_ASSIGN(plan.guidance, plan_guidance(guidance, timesteps));
  return plan;
}

// Float32, whatever the network computes in.
Result<at::Tensor> first_latents(const RunPlan& plan, const GenerateSettings& settings, const std::optional<at::Tensor>& start) {
  KILN_TRY_ASSIGN(const c10::Device device, open_device(settings.device));
  const std::vector<std::int64_t> sizes = {1, plan.size.channels, plan.size.frames, plan.size.height, plan.size.width};
  if (!start) {
    KILN_TRY_ASSIGN(const at::Tensor noise, initial_noise(settings.seed, plan.size));
    return noise.to(device);
  }
  if (start->sizes() == c10::IntArrayRef(sizes)) return start->to(device, at::kFloat);
  return fail(make_error(ErrorCode::kInvalidArgument, "the latents to start from are not of {}x{} with {} frames",
                         settings.size.width, settings.size.height, settings.size.frames));
}

void report(const GenerateCallbacks& callbacks, GenerateStage stage, int done, int total, double seconds) {
  if (callbacks.on_progress) callbacks.on_progress({stage, done, total, seconds});
}

// The steps of one run, from one set of latents to the next.
class StepRun {
 public:
  StepRun(const GeneratorPackage& package, const GenerateSettings& settings, const PromptStates& prompts,
          const GenerateCallbacks& callbacks)
      : package_(package), settings_(settings), prompts_(prompts), callbacks_(callbacks) {}

  Result<at::Tensor> run(const RunPlan& plan, at::Tensor latents) {
    KILN_TRY_ASSIGN(FlowTransformer transformer,
                    FlowTransformer::create(package_, settings_.precision.transformer, settings_.device));
    KILN_TRY_ASSIGN(FlowSampler sampler, FlowSampler::create(settings_.flow));
    const int total = static_cast<int>(plan.guidance.steps.size());
    std::optional<WeightReadAhead> next_expert;
    for (int i = 0; i < total; ++i) {
      const GuidedStep& step = plan.guidance.steps[static_cast<std::size_t>(i)];
      double seconds = 0;
      {
        const Stopwatch watch(seconds);
        KILN_TRY(check_stop(callbacks_.stop));
        KILN_TRY(transformer.load_expert(plan.expert_of(step)));
        // As soon as the first expert needs the disk no more: how long reading takes against its steps is not known.
        if (i == 0 && plan.guidance.switch_step) next_expert.emplace(package_, plan.experts.back());
        KILN_TRY_ASSIGN(const at::Tensor said, predict(transformer, step, timestep_of(plan, sampler), latents));
        KILN_TRY_ASSIGN(latents, sampler.step(said, latents));
        KILN_TRY(check_numbers(latents, sampler.next_step()));
      }
      if (callbacks_.on_latents) KILN_TRY(callbacks_.on_latents(sampler.next_step() - 1, latents));
      report(callbacks_, GenerateStage::kSteps, i + 1, total, seconds);
    }
    return latents;
  }

 private:
  static float timestep_of(const RunPlan& plan, const FlowSampler& sampler) {
    return plan.schedule.timesteps[static_cast<std::size_t>(sampler.next_step())];
  }

  Result<at::Tensor> predict(const FlowTransformer& transformer, const GuidedStep& step, float timestep,
                             const at::Tensor& latents) const {
    KILN_TRY_ASSIGN(const at::Tensor with, transformer.predict(latents, timestep, prompts_.conditional, callbacks_.stop));
    if (!step.unconditional) return with;
    KILN_TRY_ASSIGN(const at::Tensor without,
                    transformer.predict(latents, timestep, prompts_.unconditional, callbacks_.stop));
    return guided(with, without, step.scale);
  }

  // On a card this waits for the step, which is what makes its seconds true.
  [[nodiscard]] Status check_numbers(const at::Tensor& latents, int step) const {
    if (latents.isfinite().all().item<bool>()) return {};
    return fail(make_error(ErrorCode::kDataLoss, "step {} of {}: the latents are no numbers any more (NaN or infinite); the weights "
                           "hold such numbers, or {} is too narrow for the model", step, settings_.flow.steps,
                           to_string(settings_.precision.transformer)));
  }

  const GeneratorPackage& package_;
  const GenerateSettings& settings_;
  const PromptStates& prompts_;
  const GenerateCallbacks& callbacks_;
};

}  // namespace

FlowSettings flow_settings_of(const sharding::GeneratorManifest& manifest) {
  FlowSettings settings;
  settings.solver = manifest.scheduler == "euler" ? FlowSolver::kEuler : FlowSolver::kUniPc;
  settings.shift = manifest.shift;
  return settings;
}

Result<PromptStates> encode_prompts(const GeneratorPackage& package, const GenerateSettings& settings,
                                    const PromptTokens& prompt, const PromptTokens& negative,
                                    const GenerateCallbacks& callbacks) {
  KILN_TRY_ASSIGN(const RunPlan plan, plan_run(package.manifest(), settings));
  std::vector<PromptTokens> prompts = {prompt};
  if (plan.needs_unconditional()) prompts.push_back(negative);
  double seconds = 0;
  PromptStates states;
  {
    const Stopwatch watch(seconds);
    KILN_TRY_ASSIGN(const PromptEncoder encoder, PromptEncoder::create(package, settings.precision.text, settings.device));
    KILN_TRY_ASSIGN(const at::Tensor hidden, encoder.encode(prompts, callbacks.stop));
    states.conditional = hidden.narrow(0, 0, 1);
    if (prompts.size() > 1) states.unconditional = hidden.narrow(0, 1, 1);
  }
  report(callbacks, GenerateStage::kText, 1, 1, seconds);
  return states;
}

Result<at::Tensor> sample_latents(const GeneratorPackage& package, const GenerateSettings& settings,
                                  const PromptStates& prompts, const GenerateCallbacks& callbacks,
                                  const std::optional<at::Tensor>& start) {
  KILN_TRY_ASSIGN(const RunPlan plan, plan_run(package.manifest(), settings));
  if (!prompts.conditional.defined() || (plan.needs_unconditional() && !prompts.unconditional.defined())) {
    return fail(make_error(ErrorCode::kInternal, "a prompt that the steps need was not encoded"));
  }
  try {
    const c10::InferenceMode inference;
    KILN_TRY_ASSIGN(at::Tensor latents, first_latents(plan, settings, start));
    return StepRun(package, settings, prompts, callbacks).run(plan, std::move(latents));
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("sampling"));
  }
}

Status decode_latents(const GeneratorPackage& package, const GenerateSettings& settings, const at::Tensor& latents,
                      const FrameSink& sink, const GenerateCallbacks& callbacks) {
  KILN_TRY_ASSIGN(const LatentDecoder decoder, LatentDecoder::create(package, settings.precision.vae, settings.device));
  const int total = static_cast<int>(latents.size(2));
  int done = 0;
  auto started = std::chrono::steady_clock::now();
  const auto next = [&](const at::Tensor& frames) -> Status {
    KILN_TRY(sink(frames));
    const auto now = std::chrono::steady_clock::now();
    report(callbacks, GenerateStage::kDecode, ++done, total, std::chrono::duration<double>(now - started).count());
    started = now;
    return {};
  };
  return decoder.decode(latents, settings.tiles, next, callbacks.stop);
}

Status generate_clip(const GeneratorPackage& package, const GenerateSettings& settings, const PromptTokens& prompt,
                     const PromptTokens& negative, const FrameSink& sink, const GenerateCallbacks& callbacks) {
  KILN_TRY_ASSIGN(const PromptStates states, encode_prompts(package, settings, prompt, negative, callbacks));
  KILN_TRY_ASSIGN(const at::Tensor latents, sample_latents(package, settings, states, callbacks));
  return decode_latents(package, settings, latents, sink, callbacks);
}

}  // namespace kiln::lane
