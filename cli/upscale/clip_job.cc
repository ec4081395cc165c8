#include "cli/upscale/clip_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "cli/upscale/job_records.h"
#include "sharding/package/package_tiling.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

// An image sequence is known by its pattern; its files are looked at when it is probed.
Result<std::string> source_state(const std::string& source) {
  if (is_image_pattern(source) || source.find('*') != std::string::npos) return std::string("images");
  std::error_code error;
  if (!fs::exists(source, error)) return fail(input_missing("{}: no such file", source));
  if (fs::is_directory(source, error)) return std::string("folder");
  const auto changed = fs::last_write_time(source, error).time_since_epoch().count();
  return fmt::format("{} bytes, changed {}", fs::file_size(source, error), changed);
}

std::string job_identity(const UpscaleOptions& options, const PackageFolder& package, const std::string& source,
                         const std::string& state, const std::string& output) {
  std::error_code error;
  Sha256 hash;
  const auto add = [&](std::string_view field) {
    hash.update(fmt::format("{}:", field.size()));
    hash.update(field);
  };
  add(fs::absolute(source, error).string());
  add(state);
  add(fs::absolute(output, error).string());
  add(package.manifest_digest.hex());
  add(options.scale);
  add(options.pixel_format);
  add(options.preset);
  add(options.frame_rate);
  add(options.deinterlace ? "deinterlace" : "");
  add(options.config.codec);
  add(options.config.executor);
  add(options.config.device);
  add(fmt::format("quality {} segment {} threads {}", options.config.quality, options.config.segment_frames,
                  options.config.threads_per_lane));
  return hash.finish().hex();
}

JobPlan current_plan(const ClipJob& job, const PlanLimits& limits) {
  JobPlan plan;
  plan.identity = job.identity;
  plan.frames = job.probe->frames;
  plan.segment_frames = job.segments.segment_frames;
  plan.tile_height = job.tiles.shape.height;
  plan.tile_width = job.tiles.shape.width;
  plan.threads_per_lane = limits.threads_per_lane;
  plan.artifact_key = job.artifact_key ? job.artifact_key->hex() : "";
  plan.encoder_threads = limits.encoder_threads;
  plan.media_tools = job.probe->ffmpeg_version;
  return plan;
}

struct OutputState {
  std::uint64_t bytes = 0;
  std::int64_t changed = 0;
};

// Nothing of an image sequence, which is no output of several inputs.
OutputState output_state(const std::string& output) {
  std::error_code error;
  OutputState state;
  state.bytes = fs::file_size(output, error);
  if (error) return {};
  state.changed = fs::last_write_time(output, error).time_since_epoch().count();
  return state;
}

std::optional<ClipReport> finished_earlier(const JobFolder& folder, const std::string& output) {
  const std::string outcome = folder.load_outcome();
  if (outcome.empty()) return std::nullopt;
  auto finished = decode_finished(outcome);
  const OutputState state = output_state(output);
  if (!finished || state.bytes == 0 || state.bytes != finished->output_bytes ||
      state.changed != finished->output_changed) {
    return std::nullopt;
  }
  return std::move(finished->report);
}

}  // namespace

bool ClipJob::all_segments_done() const {
  return !records.empty() &&
         std::all_of(records.begin(), records.end(), [](const auto& record) { return record.has_value(); });
}

Result<ClipJob> open_clip_job(FileSystem& files, const UpscaleOptions& options, const PackageFolder& package,
                              ClipId id, const std::string& source, const std::string& output) {
  ClipJob job;
  job.id = id;
  job.source = source;
  KILN_TRY_ASSIGN(const std::string state, source_state(source));
  std::error_code error;
  if (fs::equivalent(source, output, error)) {
    return fail(output_unwritable("{}: is the source itself; choose another name", output));
  }
  job.identity = job_identity(options, package, source, state, output);
  KILN_TRY_ASSIGN(job.folder, JobFolder::open(files, options.config.state_dir, job.identity));
  job.finished_earlier = finished_earlier(*job.folder, output);
  if (job.finished_earlier) {
    job.joined = true;
    return job;
  }
  KILN_TRY_ASSIGN(job.place, OutputPlace::reserve(output, job.identity, options.overwrite));
  JobPlan plan;
  KILN_TRY_ASSIGN(const bool found, job.folder->load_plan(plan));
  if (found && plan.identity == job.identity) job.earlier = plan;
  return job;
}

// The record comes first, with size and time of the file under its temporary name, which a rename keeps: whoever
// dies in between leaves no output that its own job does not know.
Status finish_clip_job(FileSystem& files, const ClipJob& job, const ClipReport& report) {
  const OutputState state = output_state(job.place->temporary());
  KILN_TRY(job.folder->record_outcome(encode_finished({report, state.bytes, state.changed})));
  KILN_TRY(job.place->commit(files));
  return job.folder->drop_segments();
}

Status plan_clip(ClipJob& job, const UpscaleOptions& options, const PackageFolder& package,
                 const PlanLimits& limits) {
  const auto shaped = sharding::graphs_of(package.manifest, sharding::GraphDtype::kFloat32);
  sharding::TileRequest request;
  request.frame_height = static_cast<int>(job.probe->height);
  request.frame_width = static_cast<int>(job.probe->width);
  request.rules = sharding::tiling_rules(package.manifest);
  request.graphs = shaped.shapes;
  request.memory_limit_bytes = limits.activation_bytes_max;
  request.activation_bytes = [&](sharding::TileShape shape) -> std::uint64_t {
    for (std::size_t i = 0; i < shaped.shapes.size(); ++i) {
      if (!shaped.shapes[i].holds(shape)) continue;
      const auto bytes = activation_bytes(package, package.graphs[i], shape.height, shape.width);
      if (bytes) return *bytes;
      log::debug("{}", bytes.error().message);
    }
    return 0;
  };
  auto tiles = sharding::plan_tiles(request);
  if (!tiles) return fail(tiles.error().with_context(job.source));
  job.tiles = std::move(*tiles);
  log::debug("{}: tiles of {}x{}: {}", job.source, job.tiles.shape.width, job.tiles.shape.height, job.tiles.reason);

  sharding::SegmentRequest segments;
  segments.frame_count = job.probe->frames;
  segments.segment_frames = options.config.segment_frames;
  // Going on with another number of lanes: what is finished was cut like this.
  if (segments.segment_frames == 0 && job.earlier) segments.segment_frames = job.earlier->segment_frames;
  segments.lane_count = limits.lanes;
  segments.frames_before = package.manifest.frames_before;
  segments.frames_after = package.manifest.frames_after;
  auto plan = sharding::plan_segments(segments);
  if (!plan) return fail(plan.error().with_context(job.source));
  job.segments = std::move(*plan);
  job.records.assign(job.segments.segments.size(), std::nullopt);
  return {};
}

Status settle_plan(ClipJob& job, const PlanLimits& limits) {
  const JobPlan plan = current_plan(job, limits);
  if (!job.earlier || *job.earlier != plan) return job.folder->begin(plan);
  KILN_TRY_ASSIGN(auto records, job.folder->load_segments());
  for (SegmentRecord& record : records) {
    const auto index = static_cast<std::size_t>(record.segment);
    if (index >= job.records.size() || record.frames != job.segments.segments[index].frame_count()) continue;
    job.records[index] = std::move(record);
    ++job.resumed_segments;
  }
  return {};
}

net::SegmentTask segment_task(const ClipJob& job, const UpscaleOptions& options, const sharding::Segment& segment,
                              TaskId task, Attempt attempt) {
  net::SegmentTask out;
  out.task = task;
  out.attempt = attempt;
  out.clip = job.id;
  out.first = segment.first;
  out.last = segment.last;
  out.path = job.folder->part_path(segment.id.value, attempt.value);
  out.tile_height = job.tiles.shape.height;
  out.tile_width = job.tiles.shape.width;
  out.output_width = job.probe->output_width;
  out.output_height = job.probe->output_height;
  out.codec = options.config.codec;
  out.quality = options.config.quality;
  out.preset = options.preset;
  out.pixel_format = job.probe->output_pixel_format;
  out.executor = options.config.executor;
  out.output = job.place->output();
  return out;
}

net::JoinTask join_task(const ClipJob& job, const UpscaleOptions& options, TaskId task) {
  net::JoinTask out;
  out.task = task;
  out.clip = job.id;
  for (const sharding::Segment& segment : job.segments.segments) {
    out.segments.push_back(job.folder->segment_path(segment.id.value));
    out.frame_counts.push_back(segment.frame_count());
  }
  out.path = job.place->temporary();
  out.codec = options.config.codec;
  out.output = job.place->output();
  out.output_width = job.probe->output_width;
  out.output_height = job.probe->output_height;
  out.quality = options.config.quality;
  out.preset = options.preset;
  out.pixel_format = job.probe->output_pixel_format;
  return out;
}

}  // namespace kiln::cli
