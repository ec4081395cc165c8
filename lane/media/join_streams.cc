#include "lane/media/join_streams.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include "lane/media/join_sound.h"

namespace kiln::lane {
namespace {

bool any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_movie(Container container) { return container == Container::kMp4 || container == Container::kMov; }

bool is_text_subtitle(std::string_view codec) {
  return any_of(codec, {"subrip", "srt", "ass", "ssa", "webvtt", "text", "mov_text", "microdvd", "subviewer"});
}

// The encoder for a subtitle, "copy", or empty where the container has no place for it.
std::string subtitle_coding(Container container, std::string_view codec, const MediaTools& tools) {
  if (is_movie(container)) {
    if (codec == "mov_text" || (container == Container::kMp4 && codec == "dvd_subtitle")) return "copy";
    return is_text_subtitle(codec) && tools.has_encoder("mov_text") ? "mov_text" : "";
  }
  if (container != Container::kMatroska) return "";
  if (any_of(codec, {"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle",
                     "hdmv_text_subtitle"})) {
    return "copy";
  }
  if (!is_text_subtitle(codec)) return "";
  for (const std::string_view encoder : {"subrip", "srt", "ass"}) {
    if (tools.has_encoder(encoder)) return std::string(encoder);
  }
  return "";
}

std::string name_of(const SourceStream& stream) {
  const std::string_view kind = stream.kind == StreamKind::kAudio          ? "audio"
                                : stream.kind == StreamKind::kSubtitle     ? "subtitle"
                                : stream.kind == StreamKind::kAttachment   ? "attachment"
                                : stream.kind == StreamKind::kCoverPicture ? "cover picture"
                                : stream.kind == StreamKind::kVideo        ? "further video"
                                                                           : "data";
  std::string name = fmt::format("{} track {} ({}", kind, stream.index, stream.codec);
  if (!stream.language.empty()) name += ", " + stream.language;
  if (!stream.file_name.empty()) name += ", " + stream.file_name;
  return name + ")";
}

struct PictureKind {
  std::string_view codec;
  std::string_view extension;
  std::string_view mime_type;
};
constexpr std::array kPictureKinds{PictureKind{"mjpeg", "jpg", "image/jpeg"}, PictureKind{"png", "png", "image/png"},
                                   PictureKind{"bmp", "bmp", "image/bmp"},    PictureKind{"gif", "gif", "image/gif"},
                                   PictureKind{"tiff", "tif", "image/tiff"},  PictureKind{"webp", "webp", "image/webp"}};

struct Planner {
  const ClipInfo& clip;
  Container container;
  const MediaTools& tools;
  StreamPlan plan;
  int audio_count = 0;
  int subtitle_count = 0;
  int video_count = 1;  // 0 is ours
  int output_count = 1;

  void map(const SourceStream& stream) {
    // Naming one stream's metadata stops ffmpeg from copying any by itself, so each is named.
    plan.arguments.insert(plan.arguments.end(),
                          {"-map", fmt::format("1:{}", stream.index), fmt::format("-map_metadata:s:{}", output_count++),
                           fmt::format("1:s:{}", stream.index)});
  }

  void leave_out(const SourceStream& stream, std::string_view why) {
    plan.warnings.push_back(fmt::format("{}: {} is left out: {}", clip.source.path, name_of(stream), why));
  }

  // Where another container would have kept the track as it is.
  std::string advice(const SourceStream& stream, std::string_view words) const {
    return holds_sound(Container::kMatroska, stream.codec) ? std::string(words) : std::string();
  }

  void add_audio(const SourceStream& stream) {
    const std::string coding = sound_coding(container, stream, tools);
    if (coding.empty()) {
      return leave_out(stream, fmt::format("{} cannot hold it and this ffmpeg cannot convert it{}", to_string(container),
                                           advice(stream, "; use .mkv")));
    }
    if (coding != "copy") {
      plan.warnings.push_back(fmt::format("{}: {} is converted to {}, as {} cannot hold it{}", clip.source.path,
                                          name_of(stream), coding, to_string(container), advice(stream, "; .mkv can")));
    }
    map(stream);
    if (container == Container::kMatroska && stream.codec == "opus") plan.opus.push_back({stream.index, audio_count});
    plan.arguments.insert(plan.arguments.end(), {fmt::format("-c:a:{}", audio_count), coding});
    if (coding == "aac") {
      plan.arguments.insert(plan.arguments.end(), {fmt::format("-b:a:{}", audio_count), "256k"});
    }
    ++audio_count;
  }

  void add_subtitle(const SourceStream& stream) {
    const std::string coding = subtitle_coding(container, stream.codec, tools);
    if (coding.empty()) {
      return leave_out(stream, fmt::format("{} cannot hold it{}", to_string(container),
                                           container == Container::kMatroska ? "" : "; .mkv may"));
    }
    if (coding != "copy") {
      plan.warnings.push_back(fmt::format("{}: {} is converted to {}; styles may be lost", clip.source.path,
                                          name_of(stream), coding));
    }
    map(stream);
    plan.arguments.insert(plan.arguments.end(), {fmt::format("-c:s:{}", subtitle_count), coding});
    ++subtitle_count;
  }

  // Where a file was attached it keeps its name.
  void attach_cover(const SourceStream& stream) {
    const auto* kind = std::find_if(kPictureKinds.begin(), kPictureKinds.end(),
                                    [&](const PictureKind& known) { return known.codec == stream.codec; });
    if (kind == kPictureKinds.end()) return leave_out(stream, "mkv is not written with one");
    plan.covers.push_back({stream.index, 0,
                           stream.file_name.empty() ? fmt::format("cover.{}", kind->extension) : stream.file_name,
                           stream.mime_type.empty() ? std::string(kind->mime_type) : stream.mime_type});
  }

  void add_cover(const SourceStream& stream) {
    if (container == Container::kMatroska) return attach_cover(stream);
    const bool picture = any_of(stream.codec, {"mjpeg", "png", "bmp"});
    if (container != Container::kMp4 || !picture) {
      return leave_out(stream, fmt::format("{} is not written with one", to_string(container)));
    }
    map(stream);
    plan.arguments.insert(plan.arguments.end(), {fmt::format("-c:v:{}", video_count), "copy",
                                                 fmt::format("-disposition:v:{}", video_count), "attached_pic"});
    ++video_count;
  }

  void add(const SourceStream& stream) {
    switch (stream.kind) {
      case StreamKind::kAudio:
        return add_audio(stream);
      case StreamKind::kSubtitle:
        return add_subtitle(stream);
      case StreamKind::kCoverPicture:
        return add_cover(stream);
      case StreamKind::kAttachment:
        if (container != Container::kMatroska) return leave_out(stream, "only .mkv holds attachments");
        return map(stream);
      case StreamKind::kVideo:
        return leave_out(stream, "one video is upscaled; name the others in runs of their own");
      case StreamKind::kData:
        return leave_out(stream, fmt::format("outputs hold no data; to have it: ffmpeg -i SOURCE -map 0:{} -c copy "
                                             "-f data FILE",
                                             stream.index));
    }
  }
};

}  // namespace

StreamPlan plan_streams(const ClipInfo& clip, Container container, const MediaTools& tools) {
  Planner planner{clip, container, tools, {}};
  for (const auto& stream : clip.other_streams) planner.add(stream);
  for (CoverPlan& cover : planner.plan.covers) cover.first_output_index = planner.output_count;
  return std::move(planner.plan);
}

}  // namespace kiln::lane
