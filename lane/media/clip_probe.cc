#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/process.h"
#include "lane/media/clip_index.h"
#include "lane/media/clip_info.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/hdr_probe.h"
#include "lane/media/image_sequence.h"
#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr std::chrono::minutes kProbeDeadline{5};
constexpr int kMaxSide = 32768;
constexpr std::int64_t kMaxRatePart = 1'000'000;
constexpr double kMaxNominalRate = 480;

std::string text_of(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

int int_of(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number_integer() ? it->get<int>() : 0;
}

const Json& object_of(const Json& parent, const char* key) {
  static const Json kEmpty = Json::object();
  const auto it = parent.find(key);
  return it != parent.end() && it->is_object() ? *it : kEmpty;
}

const Json& array_of(const Json& parent, const char* key) {
  static const Json kEmpty = Json::array();
  const auto it = parent.find(key);
  return it != parent.end() && it->is_array() ? *it : kEmpty;
}

Result<Json> ask_ffprobe(const MediaTools& tools, const ClipSource& source) {
  const std::string& path = source.path;
  SpawnOptions options;
  options.argv = {tools.ffprobe_path, "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters"};
  const auto input = input_arguments(source);
  options.argv.insert(options.argv.end(), input.begin(), input.end());
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(const CommandOutput output, run_command(std::move(options), kProbeDeadline));
  if (!output.status.ok()) {
    Error error = ffmpeg_error(output.status, output.err, path + " cannot be read as a video",
                               ExitCode::kInputRefused);
    if (output.err.find("moov atom not found") != std::string::npos) {
      error.message += "; the file is truncated or its recording was never finished";
    }
    return fail(std::move(error));
  }
  if (says_truncated(output.err)) {
    return fail(input_refused("{} is truncated: it is shorter than its own tables say; get the whole file", path));
  }
  Json json = Json::parse(output.out, nullptr, false);
  if (!json.is_object()) return fail(input_refused("{}: ffprobe's answer makes no sense", path));
  return json;
}

bool is_cover(const Json& stream) { return int_of(object_of(stream, "disposition"), "attached_pic") != 0; }

StreamKind kind_of(const Json& stream) {
  const std::string type = text_of(stream, "codec_type");
  if (type == "audio") return StreamKind::kAudio;
  if (type == "subtitle") return StreamKind::kSubtitle;
  if (type == "attachment") return StreamKind::kAttachment;
  if (type == "video") return is_cover(stream) ? StreamKind::kCoverPicture : StreamKind::kVideo;
  return StreamKind::kData;
}

// The default video stream, else the first that is no cover picture.
const Json* main_video(const Json& streams) {
  const Json* first = nullptr;
  for (const auto& stream : streams) {
    if (kind_of(stream) != StreamKind::kVideo) continue;
    if (int_of(object_of(stream, "disposition"), "default") != 0) return &stream;
    if (first == nullptr) first = &stream;
  }
  return first;
}

// "\n00000000:            0       65536           0\n00000001: …": nine numbers in three rows.
std::optional<DisplayMatrix> parse_matrix(const std::string& text) {
  std::istringstream words(text);
  DisplayMatrix matrix{};
  std::size_t count = 0;
  for (std::string word; words >> word && count < matrix.size();) {
    if (word.ends_with(':')) continue;
    matrix[count++] = static_cast<std::int32_t>(std::strtol(word.c_str(), nullptr, 10));
  }
  return count == matrix.size() ? std::optional(matrix) : std::nullopt;
}

Rational nominal_rate(const Json& stream) {
  const auto average = parse_rational(text_of(stream, "avg_frame_rate"));
  const auto base = parse_rational(text_of(stream, "r_frame_rate"));
  const auto usable = [](const std::optional<Rational>& rate) {
    return rate && rate->is_positive() && rate->value() <= kMaxNominalRate;
  };
  Rational rate = usable(average) ? *average : usable(base) ? *base : Rational{25, 1};
  // Averages that are a hair off the base rate are that rate.
  if (usable(average) && usable(base) && std::abs(average->value() / base->value() - 1) < 0.01) rate = *base;
  if (rate.num > kMaxRatePart || rate.den > kMaxRatePart) {
    rate = reduced({static_cast<std::int64_t>(std::llround(rate.value() * 1000)), 1000});
  }
  return rate;
}

void read_color(const Json& stream, ClipInfo& clip) {
  clip.color.range = color_range_from_ffmpeg(text_of(stream, "color_range"));
  clip.color.matrix = color_matrix_from_ffmpeg(text_of(stream, "color_space"));
  clip.color.transfer = color_transfer_from_ffmpeg(text_of(stream, "color_transfer"));
  clip.color.primaries = color_primaries_from_ffmpeg(text_of(stream, "color_primaries"));
  clip.color.siting = chroma_siting_from_ffmpeg(text_of(stream, "chroma_location"));
  if (clip.source_pixel_format.starts_with("yuvj")) clip.color.range = ColorRange::kFull;
}

Status read_picture(const Json& stream, ClipInfo& clip) {
  clip.codec = text_of(stream, "codec_name");
  clip.width = int_of(stream, "width");
  clip.height = int_of(stream, "height");
  clip.source_pixel_format = text_of(stream, "pix_fmt");
  const std::string& path = clip.source.path;
  if (clip.width <= 0 || clip.height <= 0 || clip.source_pixel_format.empty()) {
    return fail(input_refused("{}: its video cannot be read ({}); it is damaged, or this ffmpeg lacks the decoder",
                              path, clip.codec.empty() ? "unknown codec" : clip.codec));
  }
  if (clip.width > kMaxSide || clip.height > kMaxSide) {
    return fail(input_refused("{}: {}x{} is beyond {} pixels a side", path, clip.width, clip.height, kMaxSide));
  }
  const auto nearest = nearest_native_format(clip.source_pixel_format);
  if (!nearest) {
    return fail(input_refused("{}: pixel format {} is not supported; convert it first, for instance with "
                              "ffmpeg -pix_fmt yuv444p",
                              path, clip.source_pixel_format));
  }
  clip.format = nearest->format;
  if (!nearest->what_changes.empty()) {
    clip.warnings.push_back(fmt::format("{}: {} is read as {}: {}", path, clip.source_pixel_format,
                                        clip.format.ffmpeg_name(), nearest->what_changes));
  }
  read_color(stream, clip);
  const auto aspect = parse_rational(text_of(stream, "sample_aspect_ratio"));
  if (aspect && aspect->is_positive()) clip.sample_aspect = *aspect;
  for (const auto& side : array_of(stream, "side_data_list")) {
    if (text_of(side, "side_data_type") == "Display Matrix") {
      clip.display_matrix = parse_matrix(text_of(side, "displaymatrix"));
    }
  }
  return {};
}

bool names_hdr(const Json& stream) {
  const Json& sides = array_of(stream, "side_data_list");
  return std::any_of(sides.begin(), sides.end(), [](const Json& side) {
    const std::string type = text_of(side, "side_data_type");
    return type.starts_with("Mastering display") || type.starts_with("Content light") || type.starts_with("DOVI");
  });
}

Status check_fields(const Json& stream, ClipInfo& clip) {
  const std::string order = text_of(stream, "field_order");
  clip.interlaced = order == "tt" || order == "bb" || order == "tb" || order == "bt";
  if (!clip.interlaced || clip.source.deinterlace) return {};
  return fail(input_refused("{} is interlaced ({} field first): upscaling fields as frames would look torn; pass "
                            "--deinterlace to have one progressive frame made of each",
                            clip.source.path, order[0] == 't' ? "top" : "bottom"));
}

Status read_clock(const Json& stream, const Json& format, ClipInfo& clip) {
  const auto time_base = parse_rational(text_of(stream, "time_base"));
  if (!time_base || !time_base->is_positive()) {
    return fail(input_refused("{}: its video has no time base", clip.source.path));
  }
  clip.time_base = *time_base;
  clip.frame_rate = nominal_rate(stream);
  if (clip.container == "mpegts" || clip.container == "mpeg") {
    const double start_s = std::strtod(text_of(format, "start_time").c_str(), nullptr);
    clip.time_origin = std::llround(start_s / clip.time_base.value());
  }
  return {};
}

// QuickTime's tracks of what the join copies anyway: titles of chapters, and the time code, also a tag of the video.
bool is_told_elsewhere(const Json& stream, const Json& video, const Json& file) {
  const std::string tag = kind_of(stream) == StreamKind::kData ? text_of(stream, "codec_tag_string") : "";
  if (tag == "tmcd") return object_of(video, "tags").contains("timecode");
  return tag == "text" && !array_of(file, "chapters").empty();
}

// ffmpeg has no names for most kinds of data; the container's own four letters then say which it is.
std::string codec_of(const Json& stream) {
  const std::string codec = text_of(stream, "codec_name");
  if (kind_of(stream) != StreamKind::kData || (!codec.empty() && codec != "bin_data")) return codec;
  const std::string tag = text_of(stream, "codec_tag_string");  // "[6][0][0][0]" where these are no letters
  return tag.empty() || tag.front() == '[' ? "of no known kind" : tag;
}

void read_others(const Json& json, const Json& video, ClipInfo& clip) {
  for (const auto& stream : array_of(json, "streams")) {
    const int index = int_of(stream, "index");
    if (index == clip.stream_index || is_told_elsewhere(stream, video, json)) continue;
    const Json& tags = object_of(stream, "tags");
    clip.other_streams.push_back({index, kind_of(stream), codec_of(stream), text_of(tags, "language"),
                                  text_of(tags, "filename"), text_of(stream, "sample_fmt"),
                                  std::atoi(text_of(stream, "bits_per_raw_sample").c_str()), text_of(tags, "mimetype")});
  }
  clip.chapter_count = static_cast<int>(array_of(json, "chapters").size());
}

Status check_decoder(const MediaTools& tools, const std::string& path, const Json& stream) {
  const std::string codec = text_of(stream, "codec_name");
  if (codec.empty() || tools.has_decoder(codec)) return {};
  return fail(input_refused("{}: {} (version {}) was built without a decoder for {}; name an ffmpeg that has one with "
                            "--ffmpeg (Debian's has)", path, tools.ffmpeg_path, tools.version, codec));
}

Result<ClipInfo> probe_file(const MediaTools& tools, const ClipSource& source) {
  ClipInfo clip;
  clip.source = source;
  KILN_TRY_ASSIGN(const Json json, ask_ffprobe(tools, source));
  const Json& format = object_of(json, "format");
  clip.container = text_of(format, "format_name");
  const Json* stream = main_video(array_of(json, "streams"));
  // "tty" turns any text into pictures of letters.
  if (clip.container == "tty") return fail(input_refused("{} is a text, not a video", source.path));
  if (stream == nullptr) return fail(input_refused("{} holds no video, only other tracks", source.path));
  clip.stream_index = int_of(*stream, "index");
  KILN_TRY(check_decoder(tools, source.path, *stream));
  KILN_TRY(read_picture(*stream, clip));
  KILN_TRY(probe_hdr(tools, names_hdr(*stream), clip));
  KILN_TRY(check_fields(*stream, clip));
  KILN_TRY(read_clock(*stream, format, clip));
  read_others(json, *stream, clip);
  KILN_TRY(index_frames(tools, clip));
  return clip;
}

Result<ClipInfo> probe_images(const MediaTools& tools, const ClipSource& source) {
  ClipInfo clip;
  clip.source = source;
  clip.kind = SourceKind::kImageSequence;
  clip.container = "images";
  if (!source.image_rate.is_positive()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{}: a frame rate above 0 is needed", source.path));
  }
  KILN_TRY_ASSIGN(clip.image_files, list_images(source.path));
  KILN_TRY_ASSIGN(const Json json, ask_ffprobe(tools, ClipSource{clip.image_files[0]}));
  const Json& streams = array_of(json, "streams");
  if (streams.empty()) return fail(input_refused("{} holds no picture", clip.image_files[0]));
  KILN_TRY(check_decoder(tools, clip.image_files[0], streams[0]));
  KILN_TRY(read_picture(streams[0], clip));
  clip.frame_rate = reduced(source.image_rate);
  clip.time_base = {clip.frame_rate.den, clip.frame_rate.num};
  for (std::size_t i = 0; i < clip.image_files.size(); ++i) {
    clip.frames.push_back({static_cast<std::int64_t>(i), 1, true});
  }
  return clip;
}

}  // namespace

double ClipInfo::duration_s() const {
  if (frames.empty()) return 0;
  const std::int64_t ticks = frames.back().pts + frames.back().duration - frames.front().pts;
  return static_cast<double>(ticks) * time_base.value();
}

Result<ClipInfo> probe_clip(const MediaTools& tools, const ClipSource& source) {
  if (!source.location.empty()) return probe_file(tools, source);
  if (is_image_source(source.path)) return probe_images(tools, source);
  std::error_code error;
  const auto status = fs::status(source.path, error);
  if (!fs::exists(status)) return fail(input_missing("{} does not exist", source.path));
  if (::access(source.path.c_str(), R_OK) != 0) {
    return fail(input_refused("{} cannot be read: permission denied", source.path));
  }
  if (fs::is_regular_file(status) && fs::file_size(source.path, error) == 0) {
    return fail(input_refused("{} is empty", source.path));
  }
  return probe_file(tools, source);
}

}  // namespace kiln::lane
