// One clip of the command: what was asked for, where its output goes, what an earlier run of the command left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/upscale/finished_clips.h"
#include "cli/upscale/output_place.h"
#include "cli/upscale/upscale_options.h"
#include "cli/upscale/upscale_report.h"
#include "net/farm_requests.h"

namespace kiln::cli {

struct ClipWork {
  std::string source;
  std::string output;
  std::string identity;  // SHA-256 hex over everything that was asked for, the source's size and time included
  std::optional<OutputPlace> place;            // absent: an earlier run finished it
  std::optional<ClipReport> finished_earlier;
  std::int64_t segments_before = 0;  // that an earlier run rendered
  bool taken = false;  // the place's temporary file is the only one that holds the result, or may be
  bool placed = false;
  ClipReport report;  // once it is placed
};

// Checks source and output; finds out whether an earlier run finished it. `manifest_sha256` of the package.
[[nodiscard]] Result<ClipWork> open_clip_work(FileSystem& files, const UpscaleOptions& options,
                                              const FinishedClips& finished, const std::string& manifest_sha256,
                                              const std::string& source, const std::string& output);

// What was joined lies whole at the place's temporary name: puts it in its place, and a repeated command will know.
[[nodiscard]] Status place_clip(FileSystem& files, const FinishedClips& finished, ClipWork& clip,
                                const ClipReport& report);

// Those of [run].
[[nodiscard]] net::CompileSettings compile_settings(const Config& config);

// The farm's job for all clips of the command. Its name follows from what was asked for, so that the same command
// finds the job of an earlier run. Sources are read where they are.
[[nodiscard]] net::JobRequest make_job_request(const UpscaleOptions& options, const std::vector<ClipWork>& clips);

}  // namespace kiln::cli
