#include "tests/lane/media/synthetic_clips.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "base/process.h"
#include "base/sha256.h"
#include "base/text.h"

namespace kiln::lane::test {
namespace {

constexpr std::chrono::minutes kDeadline{2};

std::string run(const std::string& program, std::vector<std::string> arguments) {
  SpawnOptions options;
  options.argv = {program};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  const auto output = run_command(std::move(options), kDeadline, 1ULL << 30U);
  EXPECT_TRUE(output) << output.error().message;
  if (!output) return {};
  EXPECT_TRUE(output->status.ok()) << program << ": " << output->err;
  return output->out;
}

}  // namespace

const MediaTools& tools() {
  static const MediaTools kFound = [] {
    const char* wanted = std::getenv("KILN_TEST_FFMPEG");
    auto result = find_media_tools({.ffmpeg = wanted == nullptr ? "" : wanted, .program_directory = "", .answers_folder = ""});
    if (!result) {
      ADD_FAILURE() << result.error().message;
      return MediaTools{};
    }
    return *result;
  }();
  return kFound;
}

void ffmpeg(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{"-nostdin", "-v", "error", "-y"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  run(tools().ffmpeg_path, all);
}

std::string ffprobe(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{"-v", "error"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run(tools().ffprobe_path, all);
}

std::string stream_field(const std::string& path, const std::string& stream, const std::string& field) {
  const std::string section = field.find('=') == std::string::npos ? "stream=" + field : field;
  const std::string out = ffprobe({"-select_streams", stream, "-show_entries", section, "-of",
                                   "default=nokey=1:noprint_wrappers=1", path});
  return std::string(trim(out));
}

std::vector<double> packet_times_s(const std::string& path, const std::string& stream) {
  const std::string out =
      ffprobe({"-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0", path});
  std::vector<double> times;
  for (const auto line : split(out, '\n')) {
    if (!trim(line).empty()) times.push_back(std::strtod(std::string(line).c_str(), nullptr));
  }
  std::sort(times.begin(), times.end());
  return times;
}

std::string packets_md5(const std::string& path, const std::string& stream) {
  return run(tools().ffmpeg_path, {"-nostdin", "-v", "error", "-i", path, "-map", "0:" + stream, "-c", "copy", "-f",
                                   "md5", "-"});
}

std::string samples_md5(const std::string& path, const std::string& stream) {
  return run(tools().ffmpeg_path, {"-nostdin", "-v", "error", "-i", path, "-map", "0:" + stream, "-c", "pcm_s24le", "-f",
                                   "md5", "-"});
}

std::string decoded_sha256(const std::string& path, const std::string& pixel_format) {
  return sha256(run(tools().ffmpeg_path, {"-nostdin", "-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode",
                                          "passthrough", "-pix_fmt", pixel_format, "-f", "rawvideo", "-"}))
      .hex();
}

Bytes pattern_frame(const PixelFormat& format, int width, int height, std::int64_t index) {
  Bytes bytes(format.frame_bytes(width, height));
  const int step = format.bytes_per_sample();
  const auto mask = static_cast<std::uint64_t>(format.max_value());
  std::size_t at = 0;
  for (int plane = 0; plane < format.plane_count(); ++plane) {
    const int columns = format.plane_width(plane, width);
    for (int y = 0; y < format.plane_height(plane, height); ++y) {
      for (int x = 0; x < columns; ++x) {
        const auto wave = static_cast<std::uint64_t>(x * 2 + y * 3 + static_cast<int>(index % 97) * (plane + 2));
        const std::uint64_t value = (wave * 5 + static_cast<std::uint64_t>(index * 11)) & mask;
        bytes[at] = static_cast<std::byte>(value & 0xFFU);
        if (step == 2) bytes[at + 1] = static_cast<std::byte>(value >> 8U);
        at += static_cast<std::size_t>(step);
      }
    }
  }
  EXPECT_EQ(at, bytes.size());
  return bytes;
}

ClipInfo synthetic_clip(int width, int height, PixelFormat format, Rational time_base,
                        const std::vector<std::int64_t>& pts) {
  ClipInfo clip;
  clip.kind = SourceKind::kImageSequence;  // nothing travels beside the video
  clip.width = width;
  clip.height = height;
  clip.format = format;
  clip.time_base = time_base;
  clip.frame_rate = {25, 1};
  for (std::size_t i = 0; i < pts.size(); ++i) {
    clip.frames.push_back({pts[i], i + 1 < pts.size() ? pts[i + 1] - pts[i] : 1, true});
  }
  return clip;
}

OutputRequest request_for(const ClipInfo& clip, Codec codec, Container container) {
  OutputRequest request;
  request.codec = codec;
  request.container = container;
  request.width = clip.width;
  request.height = clip.height;
  request.format = nearest_encodable_format(codec, clip.format).value_or(clip.format);
  request.color = clip.color;
  request.encoder_threads = 1;
  if (codec == Codec::kH264 || codec == Codec::kHevc) request.preset = "veryfast";
  if (codec == Codec::kAv1) request.preset = "10";
  return request;
}

std::vector<std::int64_t> irregular_times(std::size_t count) {
  std::vector<std::int64_t> times;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    times.push_back(at);
    at += i % 7 == 3 ? 1 : i % 5 == 4 ? 900 : 33 + static_cast<std::int64_t>(i % 3) * 9;
  }
  return times;
}

Result<SegmentFile> encode_segment(const EncoderSettings& settings, const ClipInfo& clip, std::int64_t first,
                                   std::int64_t end, const std::string& path) {
  KILN_TRY_ASSIGN(auto writer, SegmentWriter::open(tools(), settings, path));
  const OutputRequest& request = settings.request;
  for (std::int64_t i = first; i < end; ++i) {
    KILN_TRY(writer.write(clip.frames[static_cast<std::size_t>(i)].pts,
                          pattern_frame(request.format, request.width, request.height, i)));
  }
  KILN_TRY_ASSIGN(const SegmentSummary summary, writer.finish());
  EXPECT_EQ(summary.frame_count, end - first);
  return SegmentFile{path, first, end - first};
}

Result<Joined> render(const kiln::test::TempFolder& folder, const ClipInfo& clip, const OutputRequest& request,
                      std::int64_t segment_frames) {
  Joined joined;
  KILN_TRY_ASSIGN(joined.settings, plan_encoder(tools(), clip, request));
  for (std::int64_t first = 0; first < clip.frame_count(); first += segment_frames) {
    const std::string path = folder / ("segment-" + std::to_string(first));
    KILN_TRY_ASSIGN(const SegmentFile file,
                    encode_segment(joined.settings, clip, first,
                                   std::min(first + segment_frames, clip.frame_count()), path));
    joined.segments.push_back(file);
  }
  const std::string extension(to_string(request.container));
  joined.path = folder / (request.container == Container::kImageSequence ? "out_%04d.png" : "out." + extension);
  KILN_TRY_ASSIGN(joined.report, join_segments(tools(), clip, joined.settings, joined.segments, joined.path));
  return joined;
}

void expect_times(const std::string& path, const ClipInfo& clip) {
  const auto times = packet_times_s(path, "v:0");
  ASSERT_EQ(times.size(), clip.frames.size());
  const auto tick = parse_rational(stream_field(path, "v:0", "time_base"));
  ASSERT_TRUE(tick);
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double wanted = static_cast<double>(clip.frames[i].pts - clip.time_origin) * clip.time_base.value();
    ASSERT_NEAR(times[i], wanted, tick->value() + 2e-6) << "frame " << i << " of " << path;
    if (i > 0) {
      ASSERT_GT(times[i], times[i - 1]) << "frame " << i;
    }
  }
}

}  // namespace kiln::lane::test
