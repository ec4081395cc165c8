#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/log.h"
#include "cli/command.h"
#include "cli/farm/job_shots.h"
#include "cli/farm/submission.h"
#include "cli/flag_checks.h"
#include "cli/upscale/clip_work.h"
#include "cli/upscale/run_upscale.h"
#include "sharding/shot_rules.h"
#include "worker/device_choice.h"

namespace kiln::cli {
namespace {

// Flags that are settings: what the configuration file may say as well. Remembered as text, so that they
// go through the same checks as the file's values.
struct SettingFlag {
  const char* flag;
  const char* setting;
  std::string value;
};

struct RunFlags {
  UpscaleOptions options;
  std::string size;  // of a shot
  std::uint64_t vram_cap_bytes = 0;
  std::vector<SettingFlag> settings = {
      {"--lanes", "run.lanes", ""},         {"--threads-per-lane", "run.threads_per_lane", ""},
      {"--segment-frames", "run.segment_frames", ""}, {"--executor", "run.executor", ""},
      {"--codec", "video.codec", ""},      {"--quality", "video.quality", ""},
      {"--state", "run.state", ""},         {"--python", "programs.python", ""},
      {"--ffmpeg", "programs.ffmpeg", ""},  {"--torch", "programs.torch", ""},
      {"--device", "run.device", ""},       {"--precision", "run.precision", ""},
      {"--compile-backend", "run.compile_backend", ""}, {"--compile-mode", "run.compile_mode", ""},
      {"--compile-dynamic", "run.compile_dynamic", ""}, {"--compile-fullgraph", "run.compile_fullgraph", ""},
  };
};

Result<UpscaleOptions> finish_options(const RunFlags& flags, const GlobalOptions& global) {
  UpscaleOptions options = flags.options;
  ConfigSources sources;
  sources.file = global.config_file;
  for (const SettingFlag& flag : flags.settings) {
    if (!flag.value.empty()) sources.flags.push_back({flag.setting, flag.flag, flag.value});
  }
  if (flags.vram_cap_bytes > 0) {
    sources.flags.push_back({"run.vram_cap_mib", "--vram-cap", std::to_string(std::max<std::uint64_t>(flags.vram_cap_bytes >> 20U, 1))});
  }
  KILN_TRY_ASSIGN(const LoadedConfig loaded, load_config(sources));
  options.config = loaded.config;
  KILN_TRY(worker::parse_device(options.config.device));
  KILN_TRY(check_available(compile_settings(options.config)));
  if (!global.verbose) log::set_level(log::level_from_name(loaded.config.log_level));
  options.json = global.json;
  options.verbose = global.verbose;
  options.config_file = global.config_file;
  options.started = global.started;
  return options;
}

// Flags that are settings, but for those that `left_out` names.
void add_settings(CLI::App& command, RunFlags& flags, const std::vector<std::string_view>& left_out) {
  for (SettingFlag& flag : flags.settings) {
    if (std::find(left_out.begin(), left_out.end(), flag.flag) != left_out.end()) continue;
    const auto known = settings();
    const auto setting = std::find_if(known.begin(), known.end(), [&](const Setting& s) { return s.name == flag.setting; });
    command.add_option(flag.flag, flag.value, setting == known.end() ? "" : std::string(setting->description));
  }
}

// What both commands have.
void add_output(CLI::App& command, RunFlags& flags) {
  UpscaleOptions& options = flags.options;
  command.add_option("--preset", options.preset, "Of the encoder");
  command.add_option("--encoder", options.encoder, "software, hardware (NVENC of the cards, or an error) or auto (default: software)")
      ->check(CLI::IsMember({"software", "hardware", "auto"}));
  command.add_flag("--overwrite", options.overwrite, "Replace an output that exists");
  takes_bytes(command.add_option("--vram-cap", flags.vram_cap_bytes,
                                 "Of its card's memory, what a lane may hold: context, weights and activations, e.g. 4GiB"),
              Bytes::kAny);
}

CLI::App* add_upscale(CLI::App& run, RunFlags& flags) {
  CLI::App* upscale = run.add_subcommand("upscale", "Video in, larger video out");
  UpscaleOptions& options = flags.options;
  upscale->add_option("inputs", options.inputs, "Video files, folders of images or patterns (shot_%04d.png)")->required();
  upscale->add_option("-o,--output", options.output, "Output file, image pattern, or a folder for several inputs")->required();
  upscale->add_option("-m,--model", options.package, "Model package (made by kiln import)")->required();
  upscale->add_option("--scale", options.scale, "Output scale, at most the model's, e.g. 2 or 1.5 (default: the model's)");
  upscale->add_option("--pixel-format", options.pixel_format, "Of the output, e.g. yuv420p (default: the source's)");
  upscale->add_option("--frame-rate", options.frame_rate, "Of an image sequence, e.g. 25 or 30000/1001");
  upscale->add_flag("--deinterlace", options.deinterlace, "Accept interlaced video and deinterlace it");
  add_output(*upscale, flags);
  add_settings(*upscale, flags, {});
  upscale->footer("Example:\n  kiln run upscale clip.mp4 -o large.mp4 --model realesr-animevideov3\n"
                  "The same command, repeated after an interruption, goes on where it stopped.");
  return upscale;
}

CLI::App* add_generate(CLI::App& run, RunFlags& flags) {
  CLI::App* generate = run.add_subcommand("generate", "Words in, video out");
  UpscaleOptions& options = flags.options;
  net::Shot& shot = options.shot = usual_shot();
  generate->add_option("-m,--model", options.package, "Package of a text-to-video model (made by kiln import diffusers)")->required();
  generate->add_option("--prompt", shot.prompt, "What is to be seen; \"\" for nothing in particular")->required();
  generate->add_option("--negative-prompt", shot.negative_prompt, "What is not to be seen");
  generate->add_option("-o,--output", options.output, "Output file, or image pattern")->required();
  generate->add_option("--size", flags.size, "Width and height (default: 832x480)");
  generate->add_option("--frames", shot.frames, "A multiple of 4, and one more")->capture_default_str();
  generate->add_option("--steps", shot.steps, "Of the sampling")->capture_default_str();
  generate->add_option("--cfg", shot.guidance, "How strongly the prompt guides; 1 or less: not, at half the work")->capture_default_str();
  generate->add_option("--cfg-low-noise", shot.low_noise_guidance, "Of the second of two experts (default: the same)");
  generate->add_option("--shift", shot.shift, "Of the schedule of noise (default: the model's)");
  generate->add_option("--solver", shot.solver, "unipc or euler (default: the model's)")->check(CLI::IsMember({"unipc", "euler"}));
  generate->add_option("--seed", shot.seed, "Of the first noise")->capture_default_str();
  generate->add_option("--fps,--frame-rate", options.frame_rate, "Frames a second (default: 16)");
  generate->add_option("--pixel-format", options.pixel_format, "Of the output (default: yuv420p, or what the codec has for it)");
  add_output(*generate, flags);
  add_settings(*generate, flags, {"--segment-frames", "--compile-backend", "--compile-mode", "--compile-dynamic", "--compile-fullgraph"});
  generate->footer("Example:\n  kiln run generate --model Wan2.1-T2V-1.3B --prompt \"a fox runs over a hill\" --size 832x480 --frames 81 "
                   "--steps 30 --cfg 6 --shift 5 --seed 1 -o fox.mp4");
  return generate;
}

Status finish_shot(const RunFlags& flags, UpscaleOptions& options) {
  const auto refuse = [](const std::string& why) { return fail(make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage, "{}", why)); };
  if (!flags.size.empty()) {
    const auto sides = parse_frame_size(flags.size);
    if (!sides) return refuse("--size: " + sides.error().message);
    std::tie(options.shot.width, options.shot.height) = *sides;
  }
  if (const auto fault = sharding::find_shot_fault(sharding::shot_wish_of(options.shot))) return refuse(fault->error.message);
  if (options.config.executor == "compiled") return refuse("shots are not compiled yet: --executor any or uncompiled");
  return {};
}

}  // namespace

void add_run_command(CLI::App& app, Action& action) {
  CLI::App* run = app.add_subcommand("run", "Render on this machine");
  run->require_subcommand(1);
  auto clips = std::make_shared<RunFlags>();
  add_upscale(*run, *clips)->callback([&action, clips] {
    action = [clips](const GlobalOptions& global) -> Result<int> {
      KILN_TRY_ASSIGN(const UpscaleOptions finished, finish_options(*clips, global));
      return run_upscale(finished);
    };
  });
  auto shot = std::make_shared<RunFlags>();
  add_generate(*run, *shot)->callback([&action, shot] {
    action = [shot](const GlobalOptions& global) -> Result<int> {
      KILN_TRY_ASSIGN(UpscaleOptions finished, finish_options(*shot, global));
      KILN_TRY(finish_shot(*shot, finished));
      return run_upscale(finished);
    };
  });
}

}  // namespace kiln::cli
