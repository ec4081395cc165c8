#include "lane/media/frame_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/sealed_file.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/image_sequence.h"
#include "lane/media/nut_demuxer.h"
#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

// bwdif looks one frame back and one ahead: decoding starts so much earlier.
constexpr std::int64_t kDeinterlaceLead = 2;
constexpr int kThreadsMax = 64;

// Where to let ffmpeg begin. nullopt: at the file's beginning.
std::optional<std::int64_t> seek_frame(const ClipInfo& clip, std::int64_t first, int keyframes_back) {
  std::int64_t at = std::max<std::int64_t>(0, first - (clip.interlaced ? kDeinterlaceLead : 0));
  for (; at > 0; --at) {
    if (!clip.frames[static_cast<std::size_t>(at)].keyframe) continue;
    if (keyframes_back-- == 0) return at;
  }
  return std::nullopt;
}

// NUT holds no times below zero. Whole multiples of the time base's numerator in seconds are exact in it.
std::int64_t offset_s(const ClipInfo& clip) {
  const std::int64_t first = clip.frames.front().pts;
  if (first >= 0) return 0;
  const Rational tick = reduced(clip.time_base);
  const double below_s = -static_cast<double>(first) * tick.value() + 1;
  return tick.num * static_cast<std::int64_t>(std::ceil(below_s / static_cast<double>(tick.num)));
}

std::string seconds_text(double seconds) { return fmt::format("{:.6f}", seconds); }

std::vector<std::string> decode_arguments(const ClipInfo& clip, std::optional<std::int64_t> seek,
                                          const FrameReaderOptions& options) {
  std::vector<std::string> out{"-nostdin", "-hide_banner", "-v", "error", "-copyts"};
  const auto add = [&](std::initializer_list<std::string> more) { out.insert(out.end(), more); };
  if (clip.kind == SourceKind::kImageSequence) {
    add({"-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe", "-i", "pipe:0", "-map", "0:v:0"});
  } else {
    if (offset_s(clip) > 0) add({"-itsoffset", std::to_string(offset_s(clip))});
    if (seek) {
      // Half a frame late, so that rounding cannot lead to the key frame before.
      const ClipFrame& frame = clip.frames[static_cast<std::size_t>(*seek)];
      const double at_s =
          (static_cast<double>(frame.pts) + static_cast<double>(frame.duration) / 2) * clip.time_base.value();
      add({"-seek_timestamp", "1", "-noaccurate_seek", "-ss", seconds_text(at_s)});
    }
    // Frames that lack what they refer to are not shown: they would be taken for good ones.
    add({"-flags", "-output_corrupt", "-threads",
         std::to_string(std::clamp(options.decoder_threads, 1, kThreadsMax)), "-noautorotate"});
    const auto input = input_arguments(clip.source);
    out.insert(out.end(), input.begin(), input.end());
    add({"-map", fmt::format("0:{}", clip.stream_index)});
  }
  if (clip.interlaced) add({"-vf", "bwdif=mode=send_frame:deint=all"});
  add({"-noautoscale", "-c:v", "rawvideo", "-pix_fmt", clip.format.ffmpeg_name(), "-fps_mode", "passthrough"});
  if (clip.kind == SourceKind::kFile) add({"-enc_time_base", clip.time_base.text()});
  add({"-f", "nut", "pipe:1"});
  return out;
}

}  // namespace

struct FrameReader::State {
  State(const MediaTools& t, const ClipInfo& c, FrameRange r, const FrameReaderOptions& o)
      : tools(t), clip(c), range(r), options(o), next(r.first) {}

  const MediaTools& tools;
  const ClipInfo& clip;
  FrameRange range;
  FrameReaderOptions options;

  std::int64_t next;  // frame to hand out
  int keyframes_back = 0;
  bool from_start = false;
  std::int64_t decoded = 0;  // frames that came out of this ffmpeg
  std::unique_ptr<FfmpegChild> child;
  std::optional<NutDemuxer> demuxer;
  NutFrame frame;

  Status start();
  Status start_earlier();
  Result<bool> pull();
  Error ended_early();
  Result<std::int64_t> time_of(const NutFrame& nut);
  Status check_size() const;
  std::string where(std::int64_t index) const;
};

std::string FrameReader::State::where(std::int64_t index) const {
  const ClipFrame& wanted = clip.frames[static_cast<std::size_t>(index)];
  return fmt::format("{}: frame {} (at {:.3f} s)", clip.source.path, index,
                     static_cast<double>(wanted.pts) * clip.time_base.value());
}

Status FrameReader::State::start() {
  demuxer.reset();
  child.reset();
  const auto seek = clip.kind == SourceKind::kFile ? seek_frame(clip, range.first, keyframes_back) : std::nullopt;
  from_start = !seek.has_value();
  decoded = 0;
  FfmpegOptions ffmpeg;
  ffmpeg.program = tools.ffmpeg_path;
  ffmpeg.arguments = decode_arguments(clip, seek, options);
  ffmpeg.read_stdout = true;
  ffmpeg.cancel = options.cancel;
  ffmpeg.cpu_s = options.cpu_s;
  UniqueFd list;
  if (clip.kind == SourceKind::kImageSequence) {
    const std::string text = concat_list(clip.image_files, static_cast<std::size_t>(range.first),
                                         static_cast<std::size_t>(range.end));
    KILN_TRY_ASSIGN(list, make_sealed("images", std::as_bytes(std::span(text))));
    ::lseek(list.get(), 0, SEEK_SET);  // the child shares our place in it
    ffmpeg.stdin_fd = list.get();
  }
  KILN_TRY_ASSIGN(child, FfmpegChild::start(std::move(ffmpeg)));
  // Twice the frame: one of another size is still read, and then refused by name.
  demuxer.emplace(*child, NutLimits{2 * static_cast<std::uint64_t>(clip.frame_bytes()) + 65536});
  return {};
}

// After a seek that landed too late (open groups of pictures, intra refresh, poor indexes).
Status FrameReader::State::start_earlier() {
  keyframes_back = keyframes_back * 2 + 1;
  return start();
}

Error FrameReader::State::ended_early() {
  auto status = child->finish();
  if (!status) return status.error();
  const std::string doing = where(next) + " cannot be decoded";
  const ExitCode otherwise = ExitCode::kInputRefused;
  if (status->ok() && child->complaints().empty()) {
    return input_refused("{}: the file ends before it; it is truncated or damaged", doing);
  }
  return ffmpeg_error(*status, child->complaints(), doing, otherwise);
}

// The next decoded frame into `frame`; false at the end of ffmpeg's output.
Result<bool> FrameReader::State::pull() {
  if (decoded == 0 && demuxer->streams().empty()) {
    if (auto headers = demuxer->read_headers(); !headers) {
      if (headers.error().code == ErrorCode::kCancelled ||
          headers.error().code == ErrorCode::kDeadlineExceeded) {
        return fail(headers.error());
      }
      return false;  // ffmpeg ended before it wrote anything; its own words say more
    }
  }
  auto more = demuxer->next(frame);
  if (!more && more.error().code == ErrorCode::kDataLoss) return false;  // cut off in a frame
  if (more && *more) ++decoded;
  return more;
}

Result<std::int64_t> FrameReader::State::time_of(const NutFrame& nut) {
  if (clip.kind == SourceKind::kImageSequence) {
    // The list has one entry per image; the order is the clock.
    return clip.frames[static_cast<std::size_t>(range.first + decoded - 1)].pts;
  }
  const auto ticks = rescale_exactly(nut.pts, demuxer->streams()[0].time_base, clip.time_base);
  const auto offset = rescale_exactly(offset_s(clip), {1, 1}, clip.time_base);
  if (!ticks || !offset) {
    return fail(make_error(ErrorCode::kInternal, "{}: a decoded frame came at {}/{} s, which is no tick of {}",
                           clip.source.path, nut.pts, demuxer->streams()[0].time_base.text(),
                           clip.time_base.text()));
  }
  return *ticks - *offset;
}

Status FrameReader::State::check_size() const {
  if (frame.bytes.size() == clip.frame_bytes()) return {};
  return fail(input_refused("{} has another size than {}x{}, the size of the first; clips whose frames change size "
                            "are not supported: scale them to one size first",
                            where(next), clip.width, clip.height));
}

FrameReader::FrameReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
FrameReader::FrameReader(FrameReader&&) noexcept = default;
FrameReader& FrameReader::operator=(FrameReader&&) noexcept = default;
FrameReader::~FrameReader() = default;

Result<FrameReader> FrameReader::open(const MediaTools& tools, const ClipInfo& clip, FrameRange range,
                                      const FrameReaderOptions& options) {
  if (range.first < 0 || range.first > range.end || range.end > clip.frame_count()) {
    return fail(make_error(ErrorCode::kOutOfRange, "{}: frames {} to {} of {}", clip.source.path, range.first,
                           range.end, clip.frame_count()));
  }
  auto state = std::make_unique<State>(tools, clip, range, options);
  if (range.first < range.end) KILN_TRY(state->start());
  return FrameReader(std::move(state));
}

Result<bool> FrameReader::read(RawFrame& out) {
  State& s = *state_;
  if (s.next >= s.range.end) {
    s.demuxer.reset();
    s.child.reset();  // whatever it still decodes is not wanted
    return false;
  }
  const std::int64_t wanted = s.clip.frames[static_cast<std::size_t>(s.next)].pts;
  while (true) {
    KILN_TRY_ASSIGN(const bool more, s.pull());
    std::int64_t pts = 0;
    if (more) {
      KILN_TRY_ASSIGN(pts, s.time_of(s.frame));
    }
    const bool first = s.next == s.range.first;
    if (first && !s.from_start && (!more || pts > wanted)) {
      KILN_TRY(s.start_earlier());
      continue;
    }
    if (!more) return fail(s.ended_early());
    if (first && pts < wanted) continue;
    if (pts != wanted) {
      return fail(input_refused("{} cannot be decoded (the next one comes at {:.3f} s); the file is damaged there",
                                s.where(s.next), static_cast<double>(pts) * s.clip.time_base.value()));
    }
    KILN_TRY(s.check_size());
    out.index = s.next++;
    out.pts = pts;
    out.bytes.swap(s.frame.bytes);
    return true;
  }
}

}  // namespace kiln::lane
