#include "lane/chores.h"

#include <filesystem>

#include "base/log.h"
#include "lane/media/clip_description.h"
#include "lane/media/segment_join.h"
#include "lane/media/shot_clip.h"
#include "lane/media/source_input.h"
#include "lane/output_request.h"
#include "sharding/output_plan.h"

namespace kiln::lane {
namespace {

net::LaneTaskFailed failed(TaskId task, Error error, const ClipSource& source) {
  error.message = without_location(std::move(error.message), source);
  const bool bad_input = error.exit == ExitCode::kInputRefused || error.exit == ExitCode::kInputMissing;
  return net::LaneTaskFailed{task, Attempt{1}, {error, bad_input ? "bad_input" : "error"}};
}

Result<net::ProbeDone> probe(const MediaTools& tools, const net::ProbeTask& task) {
  ClipSource source;
  source.path = task.source;
  source.location = task.location;
  source.deinterlace = task.deinterlace;
  if (!task.frame_rate.empty()) {
    const auto rate = parse_rational(task.frame_rate);
    if (!rate || !rate->is_positive()) {
      return fail(make_error(ErrorCode::kInvalidArgument, "frame rate '{}' is none; 25 and 30000/1001 are",
                             task.frame_rate));
    }
    source.image_rate = *rate;
  }
  const bool is_shot = task.shot.frames > 0;
  const ShotClip shot{task.source, task.shot.width, task.shot.height, task.shot.frames,
                      task.frame_rate.empty() ? kShotRateUsual : source.image_rate};
  KILN_TRY_ASSIGN(const ClipInfo clip, is_shot ? describe_shot(shot) : probe_clip(tools, source));
  sharding::ScaleRatio scale{task.network_scale, 1};
  if (!task.scale.empty()) {
    KILN_TRY_ASSIGN(scale, sharding::parse_scale(task.scale));
  }
  KILN_TRY_ASSIGN(const auto size, sharding::plan_output_size(clip.width, clip.height,
                                                              static_cast<int>(task.network_scale), scale));
  OutputWish wish;
  wish.codec = task.codec;
  wish.output = task.output;
  wish.pixel_format = task.pixel_format;
  wish.width = size.width;
  wish.height = size.height;
  KILN_TRY_ASSIGN(const OutputRequest request, make_output_request(clip, wish));
  KILN_TRY_ASSIGN(const EncoderSettings settings, plan_encoder(tools, clip, request));

  net::ProbeDone done;
  done.task = task.task;
  done.clip = encode_clip(clip);
  done.frames = clip.frame_count();
  done.width = clip.width;
  done.height = clip.height;
  done.frames_per_second = clip.frame_rate.value();
  done.duration_s = clip.duration_s();
  done.pixel_format = clip.format.ffmpeg_name();
  done.output_pixel_format = settings.request.format.ffmpeg_name();
  done.output_width = size.width;
  done.output_height = size.height;
  done.warnings = clip.warnings;
  done.ffmpeg_version = tools.identity;
  done.planes_bytes = clip.format.frame_bytes(clip.width, clip.height);
  done.output_planes_bytes = settings.request.format.frame_bytes(size.width, size.height);
  return done;
}

Result<net::JoinDone> join(const MediaTools& tools, const ClipInfo& clip, const net::JoinTask& task,
                           int encoder_threads) {
  OutputWish wish{task.codec,         task.output,  task.pixel_format, task.output_width,
                  task.output_height, task.quality, task.preset,       encoder_threads};
  if (!task.encoder.empty()) wish.preset.clear();  // a card's presets; nothing is encoded here
  KILN_TRY_ASSIGN(const OutputRequest request, make_output_request(clip, wish));
  KILN_TRY_ASSIGN(const EncoderSettings settings, plan_encoder(tools, clip, request));
  if (task.segments.size() != task.frame_counts.size()) {
    return fail(make_error(ErrorCode::kDataLoss, "{} segments with {} lengths", task.segments.size(),
                           task.frame_counts.size()));
  }
  std::vector<SegmentFile> segments;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < task.segments.size(); ++i) {
    segments.push_back({task.segments[i], first, task.frame_counts[i]});
    first += task.frame_counts[i];
  }
  KILN_TRY_ASSIGN(const JoinReport report, join_segments(tools, clip, settings, segments, task.path));
  log::info("joined {} frames: written in {:.2f} s, checked, hashed and on the disk in {:.2f} s", report.frame_count,
            report.write_s, report.check_s);
  return net::JoinDone{task.task, report.frame_count, report.warnings, report.digest ? report.digest->hex() : std::string()};
}

}  // namespace

net::FromLane run_probe(const MediaTools& tools, const net::ProbeTask& task) {
  auto done = probe(tools, task);
  if (!done) return failed(task.task, done.error(), {task.source, {25, 1}, false, task.location});
  return std::move(*done);
}

net::FromLane run_join(const MediaTools& tools, const ClipInfo& clip, const net::JoinTask& task, int encoder_threads) {
  auto done = join(tools, clip, task, encoder_threads);
  if (!done) return failed(task.task, done.error(), clip.source);
  return std::move(*done);
}

std::string program_directory() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string(".") : self.parent_path().string();
}

}  // namespace kiln::lane
