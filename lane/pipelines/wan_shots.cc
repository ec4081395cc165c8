#include "lane/pipelines/wan_shots.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <span>

#include "base/log.h"
#include "lane/engine/torch_types.h"
#include "lane/pipelines/clip_generator.h"
#include "lane/text/prompt_reading.h"
#include "sharding/shot_memory.h"

namespace kiln::lane {
namespace {

std::string_view name_of(GenerateStage stage) {
  switch (stage) {
    case GenerateStage::kText: return "text";
    case GenerateStage::kSteps: return "steps";
    case GenerateStage::kDecode: return "decode";
  }
  return "?";
}

// 1 x 3 x frames x height x width within -1..1, on any device, becomes rows of red, green and blue within 0..1.
at::Tensor pictures_of(const at::Tensor& frames) {
  return frames.to(c10::Device(c10::DeviceType::CPU), at::kFloat).squeeze(0).mul(0.5).add_(0.5).clamp_(0, 1).permute({1, 2, 3, 0}).contiguous();
}

Status hand_over(const at::Tensor& frames, const ShotSink& sink) {
  try {
    const at::Tensor pictures = pictures_of(frames);
    RgbFrame frame;
    frame.resize(static_cast<int>(pictures.size(1)), static_cast<int>(pictures.size(2)));
    for (std::int64_t i = 0; i < pictures.size(0); ++i) {
      const float* values = pictures.const_data_ptr<float>() + static_cast<std::size_t>(i) * frame.pixels.size();
      std::copy(values, values + frame.pixels.size(), frame.pixels.begin());
      KILN_TRY(sink.on_frame(frame));
    }
    return {};
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("handing frames over"));
  }
}

class WanShots final : public ShotSource {
 public:
  WanShots(GeneratorPackage package, Umt5Tokenizer tokenizer, WanShotsOptions options)
      : package_(std::move(package)), tokenizer_(std::move(tokenizer)), options_(std::move(options)) {}

  Status render(const net::Shot& shot, const ShotSink& sink) override {
    at::set_num_threads(options_.threads);  // of the calling thread
    KILN_TRY_ASSIGN(const PromptTokens prompt, tokens_of("prompt", shot.prompt));
    KILN_TRY_ASSIGN(const PromptTokens negative, tokens_of("negative prompt", shot.negative_prompt));
    GenerateCallbacks callbacks;
    callbacks.stop = sink.stop;
    callbacks.on_progress = [&](const GenerateProgress& progress) {
      sink.on_progress({std::string(name_of(progress.stage)), progress.done, progress.total, progress.seconds});
    };
    return generate_clip(package_, settings_of(shot), prompt, negative,
                         [&](const at::Tensor& frames) { return hand_over(frames, sink); }, callbacks);
  }

 private:
  Result<PromptTokens> tokens_of(const char* what, const std::string& text) const {
    KILN_TRY_ASSIGN(ReadPrompt read, read_prompt(tokenizer_, text));
    for (const std::string& warning : read.warnings) log::warn("the {}: {}", what, warning);
    return std::move(read.tokens);
  }

  GenerateSettings settings_of(const net::Shot& shot) const {
    GenerateSettings out;
    out.size = {shot.width, shot.height, shot.frames};
    out.flow = flow_settings_of(package_.manifest());
    out.flow.steps = shot.steps;
    if (shot.shift > 0.0) out.flow.shift = shot.shift;
    if (!shot.solver.empty()) out.flow.solver = shot.solver == "euler" ? FlowSolver::kEuler : FlowSolver::kUniPc;
    out.guidance.scale = shot.guidance;
    if (shot.low_noise_guidance > 0.0) out.guidance.low_noise_scale = shot.low_noise_guidance;
    out.seed = shot.seed;
    const sharding::ShotDtypes dtypes = sharding::shot_dtypes(package_.manifest(), options_.dtype);
    out.precision = {dtypes.text, dtypes.transformer, dtypes.vae};
    out.device = options_.device;
    return out;
  }

  const GeneratorPackage package_;
  const Umt5Tokenizer tokenizer_;
  const WanShotsOptions options_;
};

}  // namespace

Result<std::unique_ptr<ShotSource>> open_wan_shots(OpenPackageFile files, WanShotsOptions options) {
  KILN_TRY_ASSIGN(GeneratorPackage package, GeneratorPackage::open(std::move(files)));
  KILN_TRY_ASSIGN(const std::string model, package.tokenizer());
  KILN_TRY_ASSIGN(Umt5Tokenizer tokenizer, Umt5Tokenizer::load(std::as_bytes(std::span(model))));
  return std::unique_ptr<ShotSource>(new WanShots(std::move(package), std::move(tokenizer), std::move(options)));
}

}  // namespace kiln::lane
