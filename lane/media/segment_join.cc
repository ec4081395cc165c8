#include "lane/media/segment_join.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <optional>
#include <string_view>

#include "base/output_name.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/join_arguments.h"
#include "lane/media/join_cover.h"
#include "lane/media/join_losses.h"
#include "lane/media/join_streams.h"
#include "lane/media/join_table_room.h"
#include "lane/media/join_timeline.h"
#include "lane/media/join_verify.h"
#include "lane/media/mkv_codec_delay.h"
#include "lane/media/mkv_rotation.h"
#include "lane/media/mov_track.h"
#include "lane/media/sample_entry.h"

namespace kiln::lane {
namespace {

constexpr std::string_view kTableTooLarge = "reserved_moov_size is too small";  // ffmpeg's words

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

// What no encoder wrote, or not all of them: the muxer reads it here and says it again in the output.
void describe_picture(const HdrMetadata& hdr, std::optional<int> turn, MovTrack& track) {
  std::vector<std::byte> boxes = hdr_boxes(hdr);
  if (turn) {
    const std::vector<std::byte> turned = turn_boxes(*turn);
    boxes.insert(boxes.end(), turned.begin(), turned.end());
  }
  track.sample_description = with_boxes(std::move(track.sample_description), boxes);
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
                const std::vector<SegmentFile>& segments, const AttachedCovers& covers, const std::string& output,
                const CancelSignal* cancel) {
  FfmpegOptions options;
  options.inherit = covers.inherit;
  options.program = tools.ffmpeg_path;
  options.arguments = arguments;
  options.feed_stdin = true;
  options.cancel = cancel;
  KILN_TRY_ASSIGN(const auto child, FfmpegChild::start(std::move(options)));
  auto fed = child->write_all(head);
  if (fed) {
    fed = for_each_sample(timeline, segments, [&](std::size_t, std::span<const std::byte> bytes) {
      return child->lend_all(bytes);  // pages of a file that nobody changes
    });
  }
  if (!fed && fed.error().code != ErrorCode::kUnavailable) return fed;
  KILN_TRY_ASSIGN(const ExitStatus status, child->finish());
  if (child->complaints().find(kTableTooLarge) != std::string::npos) {
    return fail(make_error(ErrorCode::kOutOfRange, "{}: the table needs more room than was left for it", output));
  }
  const Error error = ffmpeg_error(status, child->complaints(), "joining into " + output, ExitCode::kFailed);
  if (!fed || !status.ok() || exit_code(error) == static_cast<int>(ExitCode::kIo)) return fail(error);
  return {};
}

void append(std::vector<std::string>& list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

// Nothing changes the file any more: one waits for the disk, one reads it for its hash, one for its times.
Status settle(const MediaTools& tools, const ClipInfo& clip, const std::string& output, JoinReport& report) {
  const UniqueFd fd(::open(output.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, output));
  auto synced = std::async(std::launch::async, [&] { return ::fsync(fd.get()) == 0 ? 0 : errno; });
  auto hashed = std::async(std::launch::async, [&] { return sha256_of_fd(fd.get()); });
  const auto tick = verify_times(tools, clip, output);
  const auto digest = hashed.get();
  if (const int error = synced.get(); error != 0) return fail(errno_error(error, output));
  KILN_TRY_ASSIGN(report.tick, tick);
  KILN_TRY_ASSIGN(report.digest, digest);
  return {};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Result<std::string> image_name(const std::string& pattern, std::int64_t number) {
  const auto parts = output_pattern(pattern);
  if (!parts) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "{}: the frame number is written as %06d, once, in the file's name", pattern));
  }
  const std::string folder = pattern.substr(0, pattern.rfind('/') + 1);
  return fmt::format("{}{}{:0{}}{}", folder, parts->prefix, number, parts->digits, parts->suffix);
}

Result<JoinReport> join_segments(const MediaTools& tools, const ClipInfo& clip, const EncoderSettings& settings,
                                 const std::vector<SegmentFile>& segments, const std::string& output,
                                 const CancelSignal* cancel) {
  KILN_TRY_ASSIGN(Timeline timeline, make_timeline(clip, settings, segments));
  JoinReport report;
  report.frame_count = clip.frame_count();
  const OutputRequest& request = settings.request;
  if (request.container == Container::kImageSequence) {
    KILN_TRY(write_images(timeline, segments, output));
    report.tick = clip.time_base;
    report.warnings = image_losses(clip);
    return report;
  }
  KILN_TRY(check_writable(output));
  StreamPlan streams = plan_streams(clip, request.container, tools);
  const std::optional<int> turn = turn_to_mark(tools, clip, request.container);
  describe_picture(settings.hdr, turn, timeline.track);
  KILN_TRY_ASSIGN(const auto head,
                  mov_head(timeline.track, {request.width, request.height, scaled_matrix(clip, request)},
                           timeline.last_duration));
  const std::vector<std::string> muxer_options = turn ? turn_arguments() : std::vector<std::string>();
  const AttachedCovers covers = attach_covers(tools, clip, streams.covers);
  append(streams.arguments, covers.arguments);
  append(streams.warnings, covers.warnings);
  KILN_TRY_ASSIGN(const auto delays, codec_delay_arguments(tools, clip, streams.opus, output));
  append(streams.arguments, delays);
  const auto begun = std::chrono::steady_clock::now();
  const auto write = [&](std::int64_t room) {
    return run_join(tools, join_arguments(clip, settings, timeline, streams, {muxer_options, room}, output), head, timeline,
                    segments, covers, output, cancel);
  };
  const std::int64_t room = table_room(clip, settings, timeline);
  Status written = write(room);
  if (!written && written.error().code == ErrorCode::kOutOfRange && room > 0) written = write(0);
  KILN_TRY(written);
  if (turn) KILN_TRY(mark_as_turned(output));
  report.write_s = seconds_since(begun);
  const auto checked = std::chrono::steady_clock::now();
  KILN_TRY(settle(tools, clip, output, report));
  report.check_s = seconds_since(checked);
  report.warnings = streams.warnings;
  for (std::string& loss : picture_losses(clip, settings)) report.warnings.push_back(std::move(loss));
  return report;
}

}  // namespace kiln::lane
