#include "lane/media/segment_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "lane/media/ffmpeg_child.h"
#include "lane/media/mov_track.h"
#include "lane/media/nut_muxer.h"
#include "lane/media/output_clock.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kPipesInLentFrame = 2;
// That ffmpeg reads on a thread of its own while it encodes the ones before; without the word it does both in turn.
constexpr std::string_view kFramesReadAhead = "2";

std::vector<std::string> encode_arguments(const EncoderSettings& settings, const std::string& path) {
  // The pipe's headers say everything: nothing is probed, no rate is guessed from the first frames.
  std::vector<std::string> out{"-nostdin", "-hide_banner", "-v", "error", "-y", "-copyts", "-fpsprobesize", "0",
                               "-analyzeduration", "0", "-probesize", "32", "-thread_queue_size",
                               std::string(kFramesReadAhead), "-f", "nut", "-i", "pipe:0", "-map", "0:v:0",
                               "-noautoscale"};
  out.insert(out.end(), settings.arguments.begin(), settings.arguments.end());
  // AV1 goes into MP4 only; everything else that is offered goes into MOV. Both keep exact times.
  const bool mp4 = settings.request.codec == Codec::kAv1;
  out.insert(out.end(), {"-fps_mode", "passthrough", "-enc_time_base", settings.time_base.text(), "-map_metadata",
                         "-1", "-fflags", "+bitexact", "-video_track_timescale",
                         std::to_string(output_timescale(settings.time_base)), "-f", mp4 ? "mp4" : "mov",
                         "file:" + path});
  return out;
}

}  // namespace

struct SegmentWriter::State {
  const EncoderSettings& settings;
  std::string path;
  std::unique_ptr<FfmpegChild> child;
  std::vector<std::int64_t> times;  // since the first frame

  std::int64_t first_pts = 0;
  std::size_t frame_bytes = 0;

  Error died();
  Result<SegmentSummary> check_file() const;
};

// Why ffmpeg no longer takes frames.
Error SegmentWriter::State::died() {
  auto status = child->finish();
  if (!status) return status.error();
  return ffmpeg_error(*status, child->complaints(),
                      fmt::format("encoding {} after {} frames", path, times.size()), ExitCode::kFailed);
}

Result<SegmentSummary> SegmentWriter::State::check_file() const {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, path));
  auto track = read_mov_track(fd.get());
  if (!track) return fail(track.error().with_context(path));
  std::vector<std::int64_t> written;
  for (const auto& sample : track->samples) written.push_back(sample.pts);
  std::sort(written.begin(), written.end());
  if (written.size() != times.size()) {
    return fail(make_error(ErrorCode::kInternal, "{}: {} frames went in, {} came out", path, times.size(),
                           written.size()));
  }
  const Rational tick{1, track->timescale};
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto wanted = rescale(times[i], settings.time_base, tick);
    if (!wanted || std::llabs(written[i] - written[0] - *wanted) > 1) {
      return fail(make_error(ErrorCode::kInternal, "{}: the encoder moved frame {} in time", path, i));
    }
  }
  const off_t bytes = ::lseek(fd.get(), 0, SEEK_END);
  return SegmentSummary{static_cast<std::int64_t>(times.size()), static_cast<std::uint64_t>(bytes)};
}

SegmentWriter::SegmentWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
SegmentWriter::SegmentWriter(SegmentWriter&&) noexcept = default;
SegmentWriter& SegmentWriter::operator=(SegmentWriter&&) noexcept = default;
SegmentWriter::~SegmentWriter() = default;

Result<SegmentWriter> SegmentWriter::open(const MediaTools& tools, const EncoderSettings& settings,
                                          const std::string& path, const CancelSignal* cancel, double* cpu_s) {
  // ffmpeg's words for a folder that is not there are many; the system's are clear.
  UniqueFd probe(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!probe.valid()) {
    Error error = errno_error(errno, "cannot write segment " + path);
    if (error.exit == ExitCode::kFromCode) error.exit = ExitCode::kOutputUnwritable;
    return fail(std::move(error));
  }
  const OutputRequest& request = settings.request;
  auto state = std::unique_ptr<State>(new State{settings, path, nullptr, {}, 0, 0});
  state->frame_bytes = request.format.frame_bytes(request.width, request.height);
  FfmpegOptions ffmpeg;
  ffmpeg.program = tools.ffmpeg_path;
  ffmpeg.arguments = encode_arguments(settings, path);
  ffmpeg.feed_stdin = true;
  ffmpeg.cancel = cancel;
  ffmpeg.cpu_s = cpu_s;
  KILN_TRY_ASSIGN(state->child, FfmpegChild::start(std::move(ffmpeg)));
  const auto headers = nut_headers({request.format, request.width, request.height, settings.time_base,
                                    settings.sample_aspect, settings.frame_rate});
  if (auto written = state->child->write_all(headers); !written) {
    return fail(written.error().code == ErrorCode::kUnavailable ? state->died() : written.error());
  }
  return SegmentWriter(std::move(state));
}

Status SegmentWriter::write(std::int64_t pts, std::span<const std::byte> planes) { return put(pts, planes, false); }

// Of frames that the pipe could hold several of, more than the last would still be out.
Status SegmentWriter::lend(std::int64_t pts, std::span<const std::byte> planes) {
  return put(pts, planes, planes.size() >= kPipesInLentFrame * state_->child->pipe_bytes());
}

Status SegmentWriter::put(std::int64_t pts, std::span<const std::byte> planes, bool lend) {
  State& s = *state_;
  if (planes.size() != s.frame_bytes) {
    return fail(make_error(ErrorCode::kInvalidArgument, "a frame of {} bytes instead of {}", planes.size(),
                           s.frame_bytes));
  }
  if (s.times.empty()) s.first_pts = pts;
  const std::int64_t time = pts - s.first_pts;
  if (!s.times.empty() && time <= s.times.back()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "frame times must rise: {} after {}", pts,
                           s.first_pts + s.times.back()));
  }
  auto written = s.child->write_all(nut_frame_head(time, planes.size()));
  if (written) written = lend ? s.child->lend_all(planes) : s.child->write_all(planes);
  if (!written) return fail(written.error().code == ErrorCode::kUnavailable ? s.died() : written.error());
  s.times.push_back(time);
  return {};
}

Result<SegmentSummary> SegmentWriter::finish() {
  State& s = *state_;
  if (s.times.empty()) return fail(make_error(ErrorCode::kFailedPrecondition, "{}: no frames", s.path));
  KILN_TRY_ASSIGN(const ExitStatus status, s.child->finish());
  // A full disk does not always end ffmpeg with an error; it always says so.
  const Error error = ffmpeg_error(status, s.child->complaints(), "encoding " + s.path, ExitCode::kFailed);
  if (!status.ok() || exit_code(error) == static_cast<int>(ExitCode::kIo)) return fail(error);
  return s.check_file();
}

}  // namespace kiln::lane
