#include "lane/media/shot_clip.h"

namespace kiln::lane {

Result<ClipInfo> describe_shot(const ShotClip& shot) {
  if (shot.frames < 1 || shot.frames > kShotClipFramesMax || !shot.rate.is_positive()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{}: {} frames at {} a second are no clip", shot.name, shot.frames,
                           shot.rate.text()));
  }
  ClipInfo clip;
  clip.source.path = shot.name;
  clip.source.image_rate = shot.rate;
  clip.kind = SourceKind::kWords;
  clip.container = "words";
  clip.width = shot.width;
  clip.height = shot.height;
  const auto format = PixelFormat::from_ffmpeg_name("yuv420p");
  if (!format) return fail(make_error(ErrorCode::kInternal, "yuv420p is not known"));
  clip.format = *format;
  clip.source_pixel_format = clip.format.ffmpeg_name();
  clip.color = {ColorRange::kLimited, ColorMatrix::kBt709, ColorTransfer::kBt709, ColorPrimaries::kBt709, ChromaSiting::kLeft};
  clip.frame_rate = reduced(shot.rate);
  clip.time_base = {clip.frame_rate.den, clip.frame_rate.num};
  for (std::int64_t i = 0; i < shot.frames; ++i) clip.frames.push_back({i, 1, true});
  return clip;
}

}  // namespace kiln::lane
