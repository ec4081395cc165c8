#include "lane/media/clip_description.h"

#include <nlohmann/json.hpp>

namespace kiln::lane {
namespace {

using nlohmann::json;

constexpr int kSideMax = 65536;

constexpr const char* kBytes = "bytes";

// Names of files are bytes; JSON holds UTF-8 alone. What is none goes as numbers, so that it comes back as it was.
json name_to_json(const std::string& name) {
  const json text = name;
  try {
    (void)text.dump();
    return text;
  } catch (const json::type_error&) {
    return {{kBytes, std::vector<std::uint8_t>(name.begin(), name.end())}};
  }
}

std::string name_from_json(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  const auto bytes = value.at(kBytes).get<std::vector<std::uint8_t>>();
  return {bytes.begin(), bytes.end()};
}

json names_to_json(const std::vector<std::string>& names) {
  json out = json::array();
  for (const std::string& name : names) out.push_back(name_to_json(name));
  return out;
}

std::vector<std::string> names_from_json(const json& value) {
  std::vector<std::string> names;
  for (const json& name : value) names.push_back(name_from_json(name));
  return names;
}

json to_json(Rational value) { return json::array({value.num, value.den}); }

Rational rational(const json& value) {
  return Rational{value.at(0).get<std::int64_t>(), value.at(1).get<std::int64_t>()};
}

json to_json(const ColorDescription& color) {
  return json::array({static_cast<int>(color.range), static_cast<int>(color.matrix),
                      static_cast<int>(color.transfer), static_cast<int>(color.primaries),
                      static_cast<int>(color.siting)});
}

ColorDescription color(const json& value) {
  ColorDescription out;
  out.range = static_cast<ColorRange>(value.at(0).get<int>());
  out.matrix = static_cast<ColorMatrix>(value.at(1).get<int>());
  out.transfer = static_cast<ColorTransfer>(value.at(2).get<int>());
  out.primaries = static_cast<ColorPrimaries>(value.at(3).get<int>());
  out.siting = static_cast<ChromaSiting>(value.at(4).get<int>());
  return out;
}

json to_json(const HdrMetadata& hdr) {
  json out = json::object();
  if (hdr.display) {
    const MasteringDisplay& d = *hdr.display;
    out["display"] = {d.red.x,  d.red.y,   d.green.x, d.green.y,       d.blue.x,
                      d.blue.y, d.white.x, d.white.y, d.luminance_max, d.luminance_min};
  }
  if (hdr.light) out["light"] = {hdr.light->max_content, hdr.light->max_frame_average};
  return out;
}

HdrMetadata hdr(const json& value) {
  HdrMetadata out;
  const auto point = [](const json& list, std::size_t at) {
    return Chromaticity{list.at(at).get<std::uint16_t>(), list.at(at + 1).get<std::uint16_t>()};
  };
  if (value.contains("display")) {
    const json& d = value.at("display");
    out.display = MasteringDisplay{point(d, 0), point(d, 2), point(d, 4), point(d, 6),
                                   d.at(8).get<std::uint32_t>(), d.at(9).get<std::uint32_t>()};
  }
  if (value.contains("light")) {
    const json& l = value.at("light");
    out.light = ContentLight{l.at(0).get<std::uint16_t>(), l.at(1).get<std::uint16_t>()};
  }
  return out;
}

// Frames as three arrays: an hour of video has 100,000 of them.
json frames_to_json(const std::vector<ClipFrame>& frames) {
  json pts = json::array();
  json durations = json::array();
  json keyframes = json::array();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    pts.push_back(frames[i].pts);
    durations.push_back(frames[i].duration);
    if (frames[i].keyframe) keyframes.push_back(i);
  }
  return {{"pts", std::move(pts)}, {"duration", std::move(durations)}, {"keyframes", std::move(keyframes)}};
}

std::vector<ClipFrame> frames_from_json(const json& value) {
  const json& pts = value.at("pts");
  const json& durations = value.at("duration");
  std::vector<ClipFrame> frames(pts.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames[i].pts = pts.at(i).get<std::int64_t>();
    frames[i].duration = durations.at(i).get<std::int64_t>();
  }
  for (const json& index : value.at("keyframes")) frames.at(index.get<std::size_t>()).keyframe = true;
  return frames;
}

json streams_to_json(const std::vector<SourceStream>& streams) {
  json out = json::array();
  for (const SourceStream& s : streams) {
    out.push_back({{"index", s.index}, {"kind", static_cast<int>(s.kind)}, {"codec", s.codec},
                   {"language", s.language}, {"file_name", name_to_json(s.file_name)},
                   {"sample_format", s.sample_format}, {"sample_bits", s.sample_bits},
                   {"mime_type", s.mime_type}});
  }
  return out;
}

std::vector<SourceStream> streams_from_json(const json& value) {
  std::vector<SourceStream> out;
  for (const json& s : value) {
    out.push_back({s.at("index").get<int>(), static_cast<StreamKind>(s.at("kind").get<int>()),
                   s.at("codec").get<std::string>(), s.at("language").get<std::string>(),
                   name_from_json(s.at("file_name")), s.at("sample_format").get<std::string>(),
                   s.at("sample_bits").get<int>(), s.at("mime_type").get<std::string>()});
  }
  return out;
}

void read_picture(const json& in, ClipInfo& clip) {
  clip.width = in.at("width").get<int>();
  clip.height = in.at("height").get<int>();
  const auto format = PixelFormat::from_ffmpeg_name(in.at("format").get<std::string>());
  if (!format) throw std::invalid_argument("pixel format");
  clip.format = *format;
  clip.source_pixel_format = in.at("source_pixel_format").get<std::string>();
  clip.color = color(in.at("color"));
  clip.hdr = hdr(in.at("hdr"));
  clip.sample_aspect = rational(in.at("sample_aspect"));
  if (!in.at("display_matrix").is_null()) clip.display_matrix = in.at("display_matrix").get<DisplayMatrix>();
  clip.interlaced = in.at("interlaced").get<bool>();
}

ClipInfo read(const json& in) {
  if (in.at("version").get<int>() != kClipDescriptionVersion) throw std::invalid_argument("version");
  ClipInfo clip;
  clip.source.path = name_from_json(in.at("path"));
  clip.source.image_rate = rational(in.at("image_rate"));
  clip.source.deinterlace = in.at("deinterlace").get<bool>();
  clip.kind = static_cast<SourceKind>(in.at("kind").get<int>());
  clip.container = in.at("container").get<std::string>();
  clip.codec = in.at("codec").get<std::string>();
  clip.stream_index = in.at("stream_index").get<int>();
  read_picture(in, clip);
  clip.frame_rate = rational(in.at("frame_rate"));
  clip.time_base = rational(in.at("time_base"));
  clip.time_origin = in.at("time_origin").get<std::int64_t>();
  clip.frames = frames_from_json(in.at("frames"));
  clip.other_streams = streams_from_json(in.at("other_streams"));
  clip.image_files = names_from_json(in.at("image_files"));
  clip.chapter_count = in.at("chapter_count").get<int>();
  clip.warnings = in.at("warnings").get<std::vector<std::string>>();
  return clip;
}

Status check(const ClipInfo& clip) {
  const bool sized = clip.width > 0 && clip.height > 0 && clip.width <= kSideMax && clip.height <= kSideMax;
  if (!sized || clip.frames.empty() || !clip.time_base.is_positive()) {
    return fail(make_error(ErrorCode::kDataLoss, "a clip description without size, frames or time base"));
  }
  for (std::size_t i = 1; i < clip.frames.size(); ++i) {
    if (clip.frames[i].pts <= clip.frames[i - 1].pts) {
      return fail(make_error(ErrorCode::kDataLoss, "a clip description whose frame {} is not after {}", i, i - 1));
    }
  }
  return {};
}

}  // namespace

std::string encode_clip(const ClipInfo& clip) {
  const json out = {{"version", kClipDescriptionVersion},
                    {"path", name_to_json(clip.source.path)},
                    {"image_rate", to_json(clip.source.image_rate)},
                    {"deinterlace", clip.source.deinterlace},
                    {"kind", static_cast<int>(clip.kind)},
                    {"container", clip.container},
                    {"codec", clip.codec},
                    {"stream_index", clip.stream_index},
                    {"width", clip.width},
                    {"height", clip.height},
                    {"format", clip.format.ffmpeg_name()},
                    {"source_pixel_format", clip.source_pixel_format},
                    {"color", to_json(clip.color)},
                    {"hdr", to_json(clip.hdr)},
                    {"sample_aspect", to_json(clip.sample_aspect)},
                    {"display_matrix", clip.display_matrix ? json(*clip.display_matrix) : json(nullptr)},
                    {"interlaced", clip.interlaced},
                    {"frame_rate", to_json(clip.frame_rate)},
                    {"time_base", to_json(clip.time_base)},
                    {"time_origin", clip.time_origin},
                    {"frames", frames_to_json(clip.frames)},
                    {"other_streams", streams_to_json(clip.other_streams)},
                    {"image_files", names_to_json(clip.image_files)},
                    {"chapter_count", clip.chapter_count},
                    {"warnings", clip.warnings}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<ClipInfo> decode_clip(std::string_view text) {
  try {
    ClipInfo clip = read(json::parse(text));
    KILN_TRY(check(clip));
    return clip;
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, "no clip description: {}", error.what()));
  }
}

}  // namespace kiln::lane
