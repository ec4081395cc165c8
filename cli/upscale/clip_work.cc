#include "cli/upscale/clip_work.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/sha256.h"
#include "base/text.h"
#include "cli/image_files.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kJobPrefix = "run-";
constexpr std::size_t kJobDigits = 40;

void add(Sha256& hash, std::string_view field) {
  hash.update(fmt::format("{}:", field.size()));
  hash.update(field);
}

// All that a shot's frames depend on, and what could be mistaken for another.
std::string shot_state(const net::Shot& shot) {
  return fmt::format("shot {}:{} {}:{} {}x{}x{} steps {} guidance {} {} shift {} {} seed {}", shot.prompt.size(), shot.prompt,
                     shot.negative_prompt.size(), shot.negative_prompt, shot.width, shot.height, shot.frames, shot.steps,
                     shot.guidance, shot.low_noise_guidance, shot.shift, shot.solver, shot.seed);
}

// Its size and time.
Result<std::string> checked_source(const std::string& source, const std::string& output) {
  KILN_TRY_ASSIGN(std::string state, source_state(source, output));
  std::error_code error;
  if (!is_one_line(fs::absolute(source, error).string())) {
    return fail(input_refused("{}: a line break or another control character in its path; rename it", source));
  }
  if (fs::equivalent(source, output, error)) {
    return fail(output_unwritable("{}: is the source itself; choose another name", output));
  }
  return state;
}

std::string clip_identity(const UpscaleOptions& options, const std::string& manifest_sha256, const std::string& source,
                          const std::string& state, const std::string& output) {
  std::error_code error;
  Sha256 hash;
  add(hash, fs::absolute(source, error).string());
  add(hash, state);
  add(hash, fs::absolute(output, error).string());
  add(hash, manifest_sha256);
  add(hash, options.scale);
  add(hash, options.pixel_format);
  add(hash, options.preset);
  add(hash, options.frame_rate);
  add(hash, options.deinterlace ? "deinterlace" : "");
  add(hash, options.config.codec);
  add(hash, options.config.executor);
  add(hash, options.config.device);
  add(hash, options.config.precision);
  // Clips that were finished before there were such settings keep their names.
  const net::CompileSettings compile = compile_settings(options.config);
  if (compile != net::CompileSettings()) {
    add(hash, fmt::format("compile {} {} dynamic {} fullgraph {}", compile.backend, compile.mode, compile.dynamic, compile.fullgraph));
  }
  if (!options.encoder.empty()) add(hash, options.encoder);
  add(hash, fmt::format("quality {} segment {} threads {}", options.config.quality, options.config.segment_frames,
                        options.config.threads_per_lane));
  return hash.finish().hex();
}

}  // namespace

Result<ClipWork> open_clip_work(FileSystem& files, const UpscaleOptions& options, const FinishedClips& finished,
                                const std::string& manifest_sha256, const std::string& source,
                                const std::string& output) {
  ClipWork clip;
  clip.source = source;
  clip.output = output;
  std::string state;
  if (options.generates()) {
    state = shot_state(options.shot);
  } else {
    KILN_TRY_ASSIGN(state, checked_source(source, output));
  }
  clip.identity = clip_identity(options, manifest_sha256, source, state, output);
  KILN_TRY(OutputPlace::complete(files, output, clip.identity));
  clip.finished_earlier = finished.find(clip.identity, output);
  if (clip.finished_earlier) {
    OutputPlace::remove_leftovers(output, clip.identity);
    clip.placed = true;
    clip.report = *clip.finished_earlier;
    return clip;
  }
  KILN_TRY_ASSIGN(clip.place, OutputPlace::reserve(output, clip.identity, options.overwrite));
  return clip;
}

// The record comes first, with size and time of the files under their temporary names, which a rename keeps:
// whoever dies in between leaves no output that its own job does not know.
Status place_clip(FileSystem& files, const FinishedClips& finished, ClipWork& clip, const ClipReport& report) {
  KILN_TRY(finished.record(clip.identity, {report, output_state(clip.place->temporary())}));
  KILN_TRY(clip.place->commit(files));
  clip.placed = true;
  clip.report = report;
  return {};
}

net::CompileSettings compile_settings(const Config& config) {
  net::CompileSettings out;
  out.backend = config.compile_backend;
  out.mode = config.compile_mode;
  out.dynamic = config.compile_dynamic;
  out.fullgraph = config.compile_fullgraph;
  return out;
}

net::JobRequest make_job_request(const UpscaleOptions& options, const std::vector<ClipWork>& clips) {
  net::JobRequest request;
  Sha256 hash;
  std::error_code error;
  for (const ClipWork& clip : clips) {
    add(hash, clip.identity);
    net::ClipRequest one;
    if (options.generates()) {
      one.source.path = clip.source;
      one.source.shot = options.shot;
    } else {
      one.source.in_place = true;
      one.source.path = fs::absolute(clip.source, error).string();
    }
    one.output.file_name = fs::path(clip.output).filename().string();
    one.output.codec = options.config.codec;
    one.output.quality = options.config.quality;
    one.output.preset = options.preset;
    one.output.encoder = options.encoder;
    one.output.pixel_format = options.pixel_format;
    one.output.scale = options.scale;
    one.output.frame_rate = options.frame_rate;
    one.output.deinterlace = options.deinterlace;
    request.clips.push_back(std::move(one));
  }
  request.job = std::string(kJobPrefix) + hash.finish().hex().substr(0, kJobDigits);
  if (options.generates()) request.kind = net::JobKind::kGenerate;
  request.title = fs::path(options.generates() ? clips.front().output : clips.front().source).filename().string();
  request.executor = options.config.executor;
  request.precision = options.config.precision;
  request.compile = compile_settings(options.config);
  request.segment_frames = options.config.segment_frames;
  return request;
}

}  // namespace kiln::cli
