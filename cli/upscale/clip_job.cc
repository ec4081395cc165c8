#include "cli/upscale/clip_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "cli/upscale/image_files.h"
#include "cli/upscale/job_records.h"
#include "sharding/package/package_tiling.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

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

std::optional<ClipReport> finished_earlier(const JobFolder& folder, const std::string& output) {
  const std::string outcome = folder.load_outcome();
  if (outcome.empty()) return std::nullopt;
  auto finished = decode_finished(outcome);
  const std::string state = output_state(output);
  if (!finished || state.empty() || state != finished->output_state) return std::nullopt;
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
  KILN_TRY_ASSIGN(const std::string state, source_state(source, output));
  std::error_code error;
  if (fs::equivalent(source, output, error)) {
    return fail(output_unwritable("{}: is the source itself; choose another name", output));
  }
  job.identity = job_identity(options, package, source, state, output);
  KILN_TRY_ASSIGN(job.folder, JobFolder::open(files, options.config.state_dir, job.identity));
  KILN_TRY(OutputPlace::complete(files, output, job.identity));
  job.finished_earlier = finished_earlier(*job.folder, output);
  if (job.finished_earlier) {
    OutputPlace::remove_leftovers(output, job.identity);
    job.joined = true;
    return job;
  }
  KILN_TRY_ASSIGN(job.place, OutputPlace::reserve(output, job.identity, options.overwrite));
  JobPlan plan;
  KILN_TRY_ASSIGN(const bool found, job.folder->load_plan(plan));
  if (found && plan.identity == job.identity) job.earlier = plan;
  return job;
}

// The record comes first, with size and time of the files under their temporary names, which a rename keeps:
// whoever dies in between leaves no output that its own job does not know.
Status finish_clip_job(FileSystem& files, const ClipJob& job, const ClipReport& report) {
  KILN_TRY(job.folder->record_outcome(encode_finished({report, output_state(job.place->temporary())})));
  KILN_TRY(job.place->commit(files));
  return job.folder->drop_segments();
}

namespace {

// The tiles that an earlier run began with: other ones would give other bits, and its segments would be lost.
Result<sharding::TilePlan> plan_earlier_tiles(const ClipJob& job, const sharding::TileRequest& request,
                                              const PlanLimits& limits) {
  sharding::TileRequest again = request;
  again.only = sharding::TileShape{job.earlier->tile_height, job.earlier->tile_width};
  again.memory_limit_bytes = 0;
  auto tiles = sharding::plan_tiles(again);
  if (!tiles) {  // by another version of the planner
    log::warn("{}: tiles of {}x{} are planned no more; the job starts over", job.source, again.only->width,
              again.only->height);
    return sharding::plan_tiles(request);
  }
  const std::uint64_t all_lanes = tiles->activation_bytes * static_cast<std::uint64_t>(limits.lanes);
  if (limits.memory_bytes > 0 && all_lanes > limits.memory_bytes) {
    return fail(make_error(ErrorCode::kResourceExhausted, ExitCode::kFailed,
                           "this job was begun with tiles of {}x{}, for which {} lane(s) need {} and this machine has "
                           "{}; use fewer lanes, or remove {} to start over",
                           again.only->width, again.only->height, limits.lanes, format_bytes(all_lanes),
                           format_bytes(limits.memory_bytes), job.folder->path()));
  }
  return tiles;
}

Result<sharding::TilePlan> choose_tiles(const ClipJob& job, const PackageFolder& package, const PlanLimits& limits) {
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
  return job.earlier ? plan_earlier_tiles(job, request, limits) : sharding::plan_tiles(request);
}

}  // namespace

Status plan_clip(ClipJob& job, const UpscaleOptions& options, const PackageFolder& package,
                 const PlanLimits& limits) {
  auto tiles = choose_tiles(job, package, limits);
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
