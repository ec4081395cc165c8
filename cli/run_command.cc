#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/log.h"
#include "cli/command.h"
#include "cli/farm/submission.h"
#include "cli/flag_checks.h"
#include "cli/upscale/clip_work.h"
#include "cli/upscale/run_upscale.h"
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

}  // namespace

void add_run_command(CLI::App& app, Action& action) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* run = app.add_subcommand("run", "Render on this machine");
  run->require_subcommand(1);
  CLI::App* upscale = run->add_subcommand("upscale", "Video in, larger video out");
  UpscaleOptions& options = flags->options;
  upscale->add_option("inputs", options.inputs, "Video files, folders of images or patterns (shot_%04d.png)")->required();
  upscale->add_option("-o,--output", options.output, "Output file, image pattern, or a folder for several inputs")->required();
  upscale->add_option("-m,--model", options.package, "Model package (made by kiln import)")->required();
  upscale->add_option("--scale", options.scale, "Output scale, at most the model's, e.g. 2 or 1.5 (default: the model's)");
  upscale->add_option("--pixel-format", options.pixel_format, "Of the output, e.g. yuv420p (default: the source's)");
  upscale->add_option("--preset", options.preset, "Of the encoder");
  upscale->add_option("--encoder", options.encoder, "software, hardware (NVENC of the cards, or an error) or auto (default: software)")
      ->check(CLI::IsMember({"software", "hardware", "auto"}));
  upscale->add_option("--frame-rate", options.frame_rate, "Of an image sequence, e.g. 25 or 30000/1001");
  upscale->add_flag("--deinterlace", options.deinterlace, "Accept interlaced video and deinterlace it");
  upscale->add_flag("--overwrite", options.overwrite, "Replace an output that exists");
  takes_bytes(upscale->add_option("--vram-cap", flags->vram_cap_bytes,
                                  "Of its card's memory, what a lane may hold: context, weights and activations, e.g. 4GiB"),
              Bytes::kAny);
  for (SettingFlag& flag : flags->settings) {
    const auto known = settings();
    const auto setting = std::find_if(known.begin(), known.end(), [&](const Setting& s) { return s.name == flag.setting; });
    upscale->add_option(flag.flag, flag.value, setting == known.end() ? "" : std::string(setting->description));
  }
  upscale->footer("Example:\n  kiln run upscale clip.mp4 -o large.mp4 --model realesr-animevideov3\n"
                  "The same command, repeated after an interruption, goes on where it stopped.");
  upscale->callback([&action, flags] {
    action = [flags](const GlobalOptions& global) -> Result<int> {
      KILN_TRY_ASSIGN(const UpscaleOptions finished, finish_options(*flags, global));
      return run_upscale(finished);
    };
  });
}

}  // namespace kiln::cli
