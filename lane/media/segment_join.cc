#include "lane/media/segment_join.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>

#include "lane/media/ffmpeg_child.h"
#include "lane/media/join_streams.h"
#include "lane/media/join_verify.h"
#include "lane/media/mov_track.h"
#include "lane/media/output_clock.h"
#include "lane/media/sample_entry.h"

namespace kiln::lane {
namespace {

constexpr std::int64_t kMovieTimescaleMax = 1'000'000;

// All samples of the output in decode order, with where their bytes lie.
struct Timeline {
  MovTrack track;                       // offsets are those in the segments
  std::vector<std::int64_t> frames;     // index of each sample's frame in the clip
  std::vector<std::size_t> segment_of;  // of each sample
  std::int64_t first_dts = 0;           // before the shift to 0
  std::int64_t last_duration = 0;
};

Result<UniqueFd> open_segment(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, "segment " + path));
  return fd;
}

Status check_cover(const ClipInfo& clip, const std::vector<SegmentFile>& segments) {
  std::int64_t next = 0;
  for (const auto& segment : segments) {
    if (segment.first_frame != next || segment.frame_count <= 0) {
      return fail(make_error(ErrorCode::kInvalidArgument, "segment {} begins at frame {} instead of {}",
                             segment.path, segment.first_frame, next));
    }
    next += segment.frame_count;
  }
  if (next == clip.frame_count()) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, "{} segments hold {} of {} frames", segments.size(), next,
                         clip.frame_count()));
}

// Appends a segment's samples. Which frame each is follows from their order of presentation; when it is
// shown is the index's to say.
Status append_segment(const ClipInfo& clip, const ColorDescription& color, const SegmentFile& segment,
                      std::size_t number, Timeline& timeline) {
  KILN_TRY_ASSIGN(const UniqueFd fd, open_segment(segment.path));
  auto read = read_mov_track(fd.get());
  if (!read) return fail(read.error().with_context(segment.path));
  MovTrack& part = *read;
  if (static_cast<std::int64_t>(part.samples.size()) != segment.frame_count) {
    return fail(make_error(ErrorCode::kDataLoss, "{} holds {} frames instead of {}", segment.path,
                           part.samples.size(), segment.frame_count));
  }
  KILN_TRY_ASSIGN(std::vector<std::byte> description,
                  normalised_description(part.sample_description, color));
  if (number == 0) timeline.track.sample_description = description;
  if (timeline.track.sample_description != description) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "{} was encoded with other settings than the segments before it; encode it again",
                           segment.path));
  }
  std::vector<std::int64_t> shown;
  for (const auto& sample : part.samples) shown.push_back(sample.pts);
  std::sort(shown.begin(), shown.end());
  if (!part.samples.empty() && !part.samples[0].sync) {
    return fail(make_error(ErrorCode::kDataLoss, "{} does not begin with a key frame", segment.path));
  }
  for (auto sample : part.samples) {
    const auto rank = std::lower_bound(shown.begin(), shown.end(), sample.pts) - shown.begin();
    const std::int64_t frame = segment.first_frame + rank;
    const std::int64_t ticks = clip.frames[static_cast<std::size_t>(frame)].pts - clip.time_origin;
    const auto pts = rescale(ticks, clip.time_base, {1, timeline.track.timescale});
    if (!pts) return fail(make_error(ErrorCode::kOutOfRange, "frame {} is too late to be written", frame));
    sample.pts = *pts;
    timeline.track.samples.push_back(sample);
    timeline.frames.push_back(frame);
    timeline.segment_of.push_back(number);
  }
  return {};
}

Result<Timeline> make_timeline(const ClipInfo& clip, const EncoderSettings& settings,
                               const std::vector<SegmentFile>& segments) {
  KILN_TRY(check_cover(clip, segments));
  Timeline timeline;
  timeline.track.timescale = static_cast<std::uint32_t>(output_timescale(clip.time_base));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    KILN_TRY(append_segment(clip, settings.request.color, segments[i], i, timeline));
  }
  std::vector<std::int64_t> pts;
  for (const auto& sample : timeline.track.samples) pts.push_back(sample.pts);
  const std::vector<std::int64_t> dts = decode_times(pts, settings.request.container == Container::kNut);
  timeline.first_dts = dts.front();
  for (std::size_t i = 0; i < dts.size(); ++i) {
    timeline.track.samples[i].dts = dts[i] - timeline.first_dts;
    timeline.track.samples[i].pts -= timeline.first_dts;
  }
  timeline.last_duration = rescale(clip.frames.back().duration, clip.time_base, {1, timeline.track.timescale})
                               .value_or(1);
  return timeline;
}

// Hands each sample's bytes to `take`, in decode order, one segment open at a time.
Status for_each_sample(const Timeline& timeline, const std::vector<SegmentFile>& segments,
                       const std::function<Status(std::size_t, std::span<const std::byte>)>& take) {
  UniqueFd fd;
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < timeline.track.samples.size(); ++i) {
    const std::size_t number = timeline.segment_of[i];
    if (i == 0 || number != timeline.segment_of[i - 1]) {
      KILN_TRY_ASSIGN(fd, open_segment(segments[number].path));
    }
    const MovSample& sample = timeline.track.samples[i];
    bytes.resize(sample.size);
    if (::lseek(fd.get(), static_cast<off_t>(sample.offset), SEEK_SET) < 0) {
      return fail(errno_error(errno, segments[number].path));
    }
    KILN_TRY_ASSIGN(const std::size_t n, read_fully(fd.get(), bytes));
    if (n != bytes.size()) {
      return fail(make_error(ErrorCode::kDataLoss, "{} became shorter while it was read", segments[number].path));
    }
    KILN_TRY(take(i, bytes));
  }
  return {};
}

std::string seconds_text(std::int64_t ticks, Rational tick) {
  const std::int64_t micros = rescale(ticks, tick, {1, 1'000'000}).value_or(0);
  return fmt::format("{}{}.{:06}", micros < 0 ? "-" : "", std::abs(micros) / 1'000'000,
                     std::abs(micros) % 1'000'000);
}

std::vector<std::string> container_arguments(Container container, std::int64_t timescale, Codec codec) {
  if (container == Container::kMatroska) {
    // A sound track's encoder delay may start below zero; shifting everything for it would move the picture.
    return {"-avoid_negative_ts", "disabled", "-f", "matroska"};
  }
  // NUT has no times below zero: an encoder's run-in, which is not heard anyway, is left out.
  if (container == Container::kNut) return {"-avoid_negative_ts", "disabled", "-bsf:a", "noise=amount=0:drop=lt(pts\\,0)", "-f", "nut"};
  // The edit list, which says when each track begins, counts in ticks of the movie: fine ones.
  const std::int64_t movie = timescale * std::max<std::int64_t>(1, kMovieTimescaleMax / timescale);
  std::vector<std::string> out{"-video_track_timescale", std::to_string(timescale), "-movie_timescale",
                               std::to_string(movie), "-movflags", "+faststart"};
  if (codec == Codec::kHevc) out.insert(out.end(), {"-tag:v:0", "hvc1"});  // what Apple's players take
  // FLAC, Opus and DTS in MP4 are well defined; ffmpeg 5.1 wants to be asked for them.
  if (container == Container::kMp4) out.insert(out.end(), {"-strict", "experimental"});
  out.insert(out.end(), {"-f", container == Container::kMp4 ? "mp4" : "mov"});
  return out;
}

// ffmpeg 5 takes an offset that is exactly the start of a broadcast file for a wish to begin at zero, and puts
// the first track that is mapped there. A microsecond is less than half a tick of such files.
std::string source_offset(const ClipInfo& clip) {
  const auto micros = rescale(-clip.time_origin, clip.time_base, {1, 1'000'000});
  return seconds_text(micros.value_or(0) + 1, {1, 1'000'000});
}

std::vector<std::string> join_arguments(const ClipInfo& clip, const EncoderSettings& settings,
                                        const Timeline& timeline, const StreamPlan& streams,
                                        const std::string& output) {
  const Rational tick{1, timeline.track.timescale};
  std::vector<std::string> out{"-nostdin", "-hide_banner", "-v", "error", "-y", "-copyts", "-itsoffset",
                               seconds_text(timeline.first_dts, tick), "-f", "mov", "-i", "pipe:0"};
  const auto add = [&](std::initializer_list<std::string> more) { out.insert(out.end(), more); };
  const bool file = clip.kind == SourceKind::kFile;
  if (file && clip.time_origin != 0) add({"-itsoffset", source_offset(clip)});
  if (file) add({"-i", "file:" + clip.source.path});
  add({"-map", "0:v:0", "-c:v:0", "copy"});
  out.insert(out.end(), streams.arguments.begin(), streams.arguments.end());
  if (file) {
    add({"-map_metadata", "1", "-map_metadata:s:0", fmt::format("1:s:{}", clip.stream_index), "-map_chapters",
         "1", "-c:t", "copy"});
  }
  add({"-max_muxing_queue_size", "65536"});
  const auto container =
      container_arguments(settings.request.container, timeline.track.timescale, settings.request.codec);
  out.insert(out.end(), container.begin(), container.end());
  add({"file:" + output});
  return out;
}

// A matrix moves as well as turns; its distances grow with the picture.
std::optional<DisplayMatrix> scaled_matrix(const ClipInfo& clip, const OutputRequest& request) {
  if (!clip.display_matrix) return std::nullopt;
  DisplayMatrix matrix = *clip.display_matrix;
  const auto scale = [](std::int32_t value, int to, int from) {
    return static_cast<std::int32_t>(static_cast<std::int64_t>(value) * to / std::max(from, 1));
  };
  matrix[6] = scale(matrix[6], request.width, clip.width);
  matrix[7] = scale(matrix[7], request.height, clip.height);
  return matrix;
}

Status check_writable(const std::string& output) {
  UniqueFd fd(::open(output.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (fd.valid()) return {};
  Error error = errno_error(errno, "cannot write " + output);
  if (error.exit == ExitCode::kFromCode) error.exit = ExitCode::kOutputUnwritable;
  return fail(std::move(error));
}

Status write_images(const Timeline& timeline, const std::vector<SegmentFile>& segments,
                    const std::string& pattern) {
  return for_each_sample(timeline, segments, [&](std::size_t i, std::span<const std::byte> bytes) -> Status {
    KILN_TRY_ASSIGN(const std::string path, image_name(pattern, timeline.frames[i] + 1));
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!fd.valid()) {
      Error error = errno_error(errno, "cannot write " + path);
      if (error.exit == ExitCode::kFromCode) error.exit = ExitCode::kOutputUnwritable;
      return fail(std::move(error));
    }
    if (auto written = write_fully(fd.get(), bytes); !written) return fail(written.error().with_context(path));
    return {};
  });
}

Status run_join(const MediaTools& tools, const std::vector<std::string>& arguments,
                std::span<const std::byte> head, const Timeline& timeline,
                const std::vector<SegmentFile>& segments, const std::string& output,
                const CancelSignal* cancel) {
  FfmpegOptions options;
  options.program = tools.ffmpeg_path;
  options.arguments = arguments;
  options.feed_stdin = true;
  options.cancel = cancel;
  KILN_TRY_ASSIGN(const auto child, FfmpegChild::start(std::move(options)));
  auto fed = child->write_all(head);
  if (fed) {
    fed = for_each_sample(timeline, segments, [&](std::size_t, std::span<const std::byte> bytes) {
      return child->write_all(bytes);
    });
  }
  if (!fed && fed.error().code != ErrorCode::kUnavailable) return fed;
  KILN_TRY_ASSIGN(const ExitStatus status, child->finish());
  const Error error = ffmpeg_error(status, child->complaints(), "joining into " + output, ExitCode::kFailed);
  if (!fed || !status.ok() || exit_code(error) == static_cast<int>(ExitCode::kIo)) return fail(error);
  return {};
}

Status sync_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail(errno_error(errno, path));
  return {};
}

}  // namespace

Result<std::string> image_name(const std::string& pattern, std::int64_t number) {
  const auto percent = pattern.find('%');
  const auto end = percent == std::string::npos ? percent : pattern.find('d', percent);
  const std::string_view width =
      end == std::string::npos ? "x" : std::string_view(pattern).substr(percent + 1, end - percent - 1);
  constexpr std::size_t kMaxWidth = 3;
  if (width.find_first_not_of("0123456789") != std::string_view::npos || width.size() > kMaxWidth) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "{}: the frame number is written as %06d, once, in the file's name", pattern));
  }
  const int digits = width.empty() ? 0 : std::atoi(std::string(width).c_str());
  return fmt::format("{}{:0{}}{}", pattern.substr(0, percent), number, digits, pattern.substr(end + 1));
}

Result<JoinReport> join_segments(const MediaTools& tools, const ClipInfo& clip, const EncoderSettings& settings,
                                 const std::vector<SegmentFile>& segments, const std::string& output,
                                 const CancelSignal* cancel) {
  KILN_TRY_ASSIGN(const Timeline timeline, make_timeline(clip, settings, segments));
  JoinReport report;
  report.frame_count = clip.frame_count();
  const OutputRequest& request = settings.request;
  if (request.container == Container::kImageSequence) {
    KILN_TRY(write_images(timeline, segments, output));
    report.tick = clip.time_base;
    if (std::any_of(clip.other_streams.begin(), clip.other_streams.end(),
                    [](const auto& stream) { return stream.kind == StreamKind::kAudio; })) {
      report.warnings.push_back(fmt::format("{}: images hold no sound; it is left out", clip.source.path));
    }
    if (clip.display_matrix) {
      report.warnings.push_back(fmt::format("{} is stored turned; the images are as stored", clip.source.path));
    }
    return report;
  }
  KILN_TRY(check_writable(output));
  const StreamPlan streams = plan_streams(clip, request.container, tools);
  KILN_TRY_ASSIGN(const auto head,
                  mov_head(timeline.track, {request.width, request.height, scaled_matrix(clip, request)},
                           timeline.last_duration));
  KILN_TRY(run_join(tools, join_arguments(clip, settings, timeline, streams, output), head, timeline, segments,
                    output, cancel));
  KILN_TRY_ASSIGN(report.tick, verify_times(tools, clip, output));
  KILN_TRY(sync_file(output));
  report.warnings = streams.warnings;
  const bool untagged = request.codec == Codec::kFfv1 || request.codec == Codec::kPng;
  if (untagged && request.container == Container::kMov && request.color.range == ColorRange::kFull &&
      !request.format.is_rgb()) {
    report.warnings.push_back(fmt::format("{}: mov cannot say that {} uses the full range; write .mkv", output,
                                          to_string(request.codec)));
  }
  return report;
}

}  // namespace kiln::lane
