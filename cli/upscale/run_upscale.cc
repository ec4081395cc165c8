#include "cli/upscale/run_upscale.h"

#include <fmt/core.h>

#include <cstdio>
#include <filesystem>

#include "cli/upscale/session_host.h"
#include "cli/upscale/upscale_report.h"

namespace kiln::cli {
namespace {

// One input: the output as it was named. Several: names in that folder.
Result<std::vector<std::string>> choose_outputs(const UpscaleOptions& options, const PackageFolder& package) {
  if (options.inputs.size() == 1) return std::vector<std::string>{options.output};
  std::error_code error;
  if (!std::filesystem::is_directory(options.output, error)) {
    return fail(output_unwritable("{}: {} inputs need a folder as output; make it first", options.output,
                                  options.inputs.size()));
  }
  const std::string scale = options.scale.empty() ? std::to_string(package.manifest.scale) : options.scale;
  return output_names(options.inputs, options.output, scale, options.config.codec);
}

}  // namespace

Result<int> run_upscale(const UpscaleOptions& options) {
  FileSystem& files = posix_file_system();
  KILN_TRY_ASSIGN(const PackageFolder package, open_package(options.package, sharding::GraphDtype::kFloat32));
  KILN_TRY_ASSIGN(const auto outputs, choose_outputs(options, package));
  KILN_TRY_ASSIGN(SessionHost host, open_session_host(files, options));
  std::vector<ClipJob> clips;
  for (std::uint32_t i = 0; i < options.inputs.size(); ++i) {
    KILN_TRY_ASSIGN(ClipJob clip, open_clip_job(files, options, package, ClipId{i}, options.inputs[i], outputs[i]));
    clips.push_back(std::move(clip));
  }
  // Whoever reads the table has his clip: it does not wait for an artifact. JSON is one value, at the very end.
  const auto on_joined = [&](const UpscaleReport& report) {
    if (options.json) return;
    fmt::print("{}", report_table(report));
    std::fflush(stdout);
  };
  UpscaleSession session(options, package, host, on_joined);
  auto report = session.run(std::move(clips));
  if (!report) return fail(report.error());
  if (options.json) fmt::print("{}\n", report_json(*report));
  return 0;
}

}  // namespace kiln::cli
