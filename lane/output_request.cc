#include "lane/output_request.h"

namespace kiln::lane {
namespace {

Result<Codec> choose_codec(const OutputWish& wish, Container container) {
  if (wish.codec.empty()) return default_codec(container);
  const auto codec = codec_from_name(wish.codec);
  if (!codec) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "codec '{}' is not known; there are h264, hevc, av1, ffv1, prores and png", wish.codec));
  }
  return *codec;
}

Result<PixelFormat> choose_format(const ClipInfo& clip, const OutputWish& wish, Codec codec) {
  if (!wish.pixel_format.empty()) {
    const auto format = PixelFormat::from_ffmpeg_name(wish.pixel_format);
    if (format) return *format;
    return fail(make_error(ErrorCode::kInvalidArgument, "pixel format '{}' is not known; yuv420p, yuv444p10le and "
                           "the like are", wish.pixel_format));
  }
  const auto nearest = nearest_encodable_format(codec, clip.format);
  if (!nearest) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{} cannot hold {}", to_string(codec),
                           clip.format.ffmpeg_name()));
  }
  return *nearest;
}

// The source's own tags, but for what a change between RGB and YUV makes meaningless. Players guess an untagged
// matrix by the size: where the larger picture would be guessed otherwise, the one that is used is written down.
ColorDescription output_color(const ClipInfo& clip, PixelFormat format, int width, int height) {
  ColorDescription color = clip.color;
  if (!format.is_rgb() && !clip.format.is_rgb()) {
    const ColorMatrix read = resolve_for_conversion(clip.color, clip.format, clip.width, clip.height).matrix;
    if (resolve_for_conversion(clip.color, format, width, height).matrix != read) color.matrix = read;
  }
  if (format.is_rgb()) {
    color.matrix = ColorMatrix::kRgb;
    color.range = ColorRange::kFull;
    color.siting = ChromaSiting::kUnspecified;
  } else if (clip.format.is_rgb()) {
    color.matrix = ColorMatrix::kBt709;
    color.range = ColorRange::kLimited;
    color.siting = format.has_chroma_planes() ? ChromaSiting::kLeft : ChromaSiting::kUnspecified;
  }
  return color;
}

}  // namespace

Result<OutputRequest> make_output_request(const ClipInfo& clip, const OutputWish& wish) {
  OutputRequest request;
  KILN_TRY_ASSIGN(request.container, container_of_output(wish.output));
  KILN_TRY_ASSIGN(request.codec, choose_codec(wish, request.container));
  KILN_TRY_ASSIGN(request.format, choose_format(clip, wish, request.codec));
  request.width = static_cast<int>(wish.width);
  request.height = static_cast<int>(wish.height);
  request.color = output_color(clip, request.format, request.width, request.height);
  request.quality = wish.quality;
  request.preset = wish.preset;
  request.encoder_threads = wish.encoder_threads;
  request.encoder = wish.encoder;
  return request;
}

}  // namespace kiln::lane
