// What a clip is: its picture format, the time of every frame, and what travels beside the video.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/color_description.h"
#include "lane/media/hdr_metadata.h"
#include "lane/media/media_tools.h"
#include "lane/media/pixel_format.h"
#include "lane/media/rational.h"

namespace kiln::lane {

struct ClipSource {
  std::string path;  // a video file, a folder of images, or a pattern: "shot_%04d.png", "shot_*.png"
  Rational image_rate{25, 1};  // frames a second of an image sequence
  bool deinterlace = false;    // interlaced clips are refused without it; one frame for each frame with it
  std::string location{};      // where its bytes are, a path or a URL; empty: at `path`, which else is only its name
};

enum class SourceKind : std::uint8_t { kFile, kImageSequence, kWords };  // kWords: it is generated

struct ClipFrame {
  std::int64_t pts = 0;       // ticks of ClipInfo::time_base
  std::int64_t duration = 0;  // ticks until the next frame; of the last one as the container says
  bool keyframe = false;
  bool operator==(const ClipFrame&) const = default;
};

enum class StreamKind : std::uint8_t { kAudio, kSubtitle, kAttachment, kCoverPicture, kVideo, kData };

struct SourceStream {
  int index = 0;  // in the source file
  StreamKind kind = StreamKind::kData;
  std::string codec;
  std::string language;
  std::string file_name;        // of an attachment
  std::string sample_format{};  // of sound: what its decoder gives, as ffmpeg names it
  int sample_bits{};            // of those that say it; 0: all of the format's
  std::string mime_type{};      // of an attachment
};

using DisplayMatrix = std::array<std::int32_t, 9>;  // as in an MP4 track header

struct ClipInfo {
  ClipSource source;
  SourceKind kind = SourceKind::kFile;
  std::string container;  // ffmpeg's demuxer names: "mov,mp4,m4a,3gp,3g2,mj2"
  std::string codec;
  int stream_index = 0;
  int width = 0;   // as coded: rotation is not applied, see display_matrix
  int height = 0;
  PixelFormat format;               // what FrameReader hands out
  std::string source_pixel_format;  // ffmpeg's name of what the clip holds
  ColorDescription color;           // the clip's tags; resolve_for_conversion() says what to compute with
  HdrMetadata hdr;                  // as the source says it; nothing is computed with it
  Rational sample_aspect{0, 1};     // 0: not said
  std::optional<DisplayMatrix> display_matrix;
  Rational frame_rate;  // nominal; the clock is `frames`
  Rational time_base;
  bool interlaced = false;    // deinterlaced while decoding (source.deinterlace)
  std::vector<ClipFrame> frames;  // display order, pts strictly rising
  // Subtracted from every time at the join: the start of broadcast streams is arbitrary. Ticks of time_base.
  std::int64_t time_origin = 0;
  std::vector<SourceStream> other_streams;
  std::vector<std::string> image_files;  // of an image sequence, in order
  int chapter_count = 0;
  std::vector<std::string> warnings;  // for people: a format that had to be converted

  [[nodiscard]] std::int64_t frame_count() const { return static_cast<std::int64_t>(frames.size()); }
  [[nodiscard]] std::size_t frame_bytes() const { return format.frame_bytes(width, height); }
  [[nodiscard]] double duration_s() const;
};

// Missing: exit code 66. Not a video, truncated, without video or frames, interlaced without
// `deinterlace`: 65. Takes as long as reading the file's packets.
[[nodiscard]] Result<ClipInfo> probe_clip(const MediaTools& tools, const ClipSource& source);

}  // namespace kiln::lane
