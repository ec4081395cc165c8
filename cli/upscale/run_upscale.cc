#include "cli/upscale/run_upscale.h"

#include <fmt/core.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>

#include "base/fd.h"
#include "base/sha256.h"
#include "base/signal_fd.h"
#include "cli/farm/generator_upload.h"
#include "cli/farm/submission.h"
#include "cli/upscale/upscale_session.h"
#include "sharding/shot_rules.h"

namespace kiln::cli {
namespace {

// One input: the output as it was named. Several: names in that folder.
Result<std::vector<std::string>> choose_outputs(const UpscaleOptions& options, std::int64_t package_scale) {
  if (options.inputs.size() == 1) return std::vector<std::string>{options.output};
  std::error_code error;
  if (!std::filesystem::is_directory(options.output, error)) {
    return fail(output_unwritable("{}: {} inputs need a folder as output; make it first", options.output,
                                  options.inputs.size()));
  }
  const std::string scale = options.scale.empty() ? std::to_string(package_scale) : options.scale;
  return output_names(options.inputs, options.output, scale, options.config.codec);
}

struct Asked {
  std::string manifest_sha256;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

Result<Asked> check_clips(const UpscaleOptions& options) {
  KILN_TRY_ASSIGN(const PackageManifestFile package, read_package_manifest(options.package));
  KILN_TRY_ASSIGN(auto outputs, choose_outputs(options, package.manifest.scale));
  return Asked{sha256(package.text).hex(), options.inputs, std::move(outputs)};
}

Result<Asked> check_shot(const UpscaleOptions& options) {
  KILN_TRY_ASSIGN(const GeneratorManifestFile package, read_generator_manifest(options.package));
  if (const Status good = sharding::check_shot(package.manifest, sharding::shot_wish_of(options.shot)); !good) {
    return fail(make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage, "{}", good.error().message));
  }
  return Asked{sha256(package.text).hex(), {"the prompt"}, {options.output}};
}

// Where nothing can be made or opened, nothing can run; what has an exit code of its own keeps it.
Error state_error(Error error, const std::string& state) {
  const bool has_code = error.exit != ExitCode::kFromCode || error.code == ErrorCode::kAborted;
  if (!has_code) error.exit = ExitCode::kOutputUnwritable;
  error.message = fmt::format("state folder {}: {}{}", state, error.message,
                              has_code ? "" : "; choose another with --state");
  return error;
}

struct State {
  std::unique_ptr<FileLock> lock;  // one command for each folder
  std::optional<FinishedClips> finished;
};

Result<State> open_state(FileSystem& files, const std::string& folder) {
  State state;
  KILN_TRY(make_directories(files, folder, 0700));
  KILN_TRY_ASSIGN(state.lock, files.lock(folder + "/lock"));
  KILN_TRY_ASSIGN(state.finished, FinishedClips::open(files, folder));
  return state;
}

}  // namespace

Result<int> run_upscale(const UpscaleOptions& options) {
  FileSystem& files = posix_file_system();
  KILN_TRY_ASSIGN(const Asked asked, options.generates() ? check_shot(options) : check_clips(options));
  KILN_TRY_ASSIGN(const UniqueFd signals, open_signal_fd({SIGINT, SIGTERM}));
  auto state = open_state(files, options.config.state_dir);
  if (!state) return fail(state_error(state.error(), options.config.state_dir));
  std::vector<ClipWork> clips;
  for (std::size_t i = 0; i < asked.inputs.size(); ++i) {
    KILN_TRY_ASSIGN(ClipWork clip, open_clip_work(files, options, *state->finished, asked.manifest_sha256, asked.inputs[i],
                                                  asked.outputs[i]));
    clips.push_back(std::move(clip));
  }
  LocalFarm farm(options);
  KILN_TRY(farm.start());
  // Whoever reads the table has his clip: it does not wait for an artifact. JSON is one value, at the very end.
  const auto on_joined = [&](const UpscaleReport& report) {
    if (options.json) return;
    fmt::print("{}", report_table(report));
    std::fflush(stdout);
  };
  UpscaleSession session(options, files, *state->finished, farm, signals.get(), on_joined);
  auto report = session.run(std::move(clips));
  if (!report) return fail(report.error());
  if (options.json) fmt::print("{}\n", report_json(*report));
  return 0;
}

}  // namespace kiln::cli
