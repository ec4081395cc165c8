#include "lane/media/encoder_settings.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/sha256.h"
#include "base/text.h"
#include "lane/media/card_encoder.h"
#include "lane/media/mkv_rotation.h"
#include "sharding/encoder_choice.h"

namespace kiln::lane {
namespace {

using Arguments = std::vector<std::string>;

constexpr int kKeyframeSeconds = 4;  // how far a player jumps at most
constexpr int kKeyframeFramesMax = 250;
constexpr int kThreadsMax = 64;
constexpr std::uint64_t kDigestVersion = 2;

struct Quality {
  int standard;
  int best;
  int worst;
};

// Near transparent for each: the upscaled detail is what the user waited for.
Quality quality_of(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return {17, 0, 51};
    case Codec::kHevc:
      return {18, 0, 51};
    case Codec::kAv1:
      return {24, 1, 63};
    case Codec::kProres:
      return {3, 0, 5};  // profiles: 0 proxy … 3 HQ, 4 4444, 5 4444 XQ
    default:
      return {0, 0, 0};
  }
}

std::string frame_rate_text(Rational rate) { return rate.text(); }

int keyframe_interval(Rational rate) {
  const int frames = static_cast<int>(rate.value() * kKeyframeSeconds + 0.5);
  return std::clamp(frames, 1, kKeyframeFramesMax);
}

// x264 and x265 learn the rate by name: the container between us carries only time stamps. Segments of
// other lengths must still begin with the same parameter sets.
void add_h264(const EncoderSettings& s, int quality, Arguments& out) {
  const std::string preset = s.request.preset.empty() ? "medium" : s.request.preset;
  out.insert(out.end(), {"-preset", preset, "-crf", std::to_string(quality), "-x264-params",
                         "open-gop=0:fps=" + frame_rate_text(s.frame_rate) + x264_hdr_options(s.hdr)});
}

void add_hevc(const EncoderSettings& s, int quality, Arguments& out) {
  const std::string preset = s.request.preset.empty() ? "medium" : s.request.preset;
  // info=0: the version SEI names thread counts and would make parameter sets differ between hosts.
  out.insert(out.end(),
             {"-preset", preset, "-crf", std::to_string(quality), "-x265-params",
              "open-gop=0:info=0:log-level=error:pools=" + std::to_string(s.request.encoder_threads) +
                  ":fps=" + frame_rate_text(s.frame_rate) + x265_hdr_options(s.hdr)});
}

void add_av1(const EncoderSettings& s, int quality, Arguments& out) {
  const std::string preset = s.request.preset.empty() ? "8" : s.request.preset;
  out.insert(out.end(), {"-preset", preset, "-crf", std::to_string(quality), "-svtav1-params",
                         "lp=" + std::to_string(s.request.encoder_threads) + svtav1_hdr_options(s.hdr)});
}

void add_prores(const EncoderSettings& s, int profile, Arguments& out) {
  const bool four = s.request.format.layout == PixelLayout::kYuv444;
  if (four && s.request.quality < 0) profile = 4;
  out.insert(out.end(), {"-profile:v", std::to_string(profile), "-vendor", "apl0"});
}

// Large pictures are cut as the encoder sees fit, by their size alone. In small odd ones it finds no cut that keeps
// halved chroma whole, and fails; there it is told to make none, which in large ones it refuses.
void add_ffv1_slices(const OutputRequest& request, Arguments& out) {
  constexpr int kSmallWidth = 352;
  constexpr int kSmallHeight = 288;
  if (request.width <= kSmallWidth && request.height <= kSmallHeight) out.insert(out.end(), {"-slices", "1"});
}

void add_codec(const EncoderSettings& s, int quality, Arguments& out) {
  if (!s.request.encoder.empty()) return add_card_encoder(s.request, quality, keyframe_interval(s.frame_rate), out);
  out.insert(out.end(), {"-c:v", std::string(encoder_name(s.request.codec)), "-threads",
                         std::to_string(s.request.encoder_threads)});
  switch (s.request.codec) {
    case Codec::kH264:
      add_h264(s, quality, out);
      break;
    case Codec::kHevc:
      add_hevc(s, quality, out);
      break;
    case Codec::kAv1:
      add_av1(s, quality, out);
      break;
    case Codec::kFfv1:
      // Level 3 with checksums per slice; every frame a key frame, so that segments end anywhere.
      out.insert(out.end(), {"-level", "3", "-coder", "1", "-context", "0", "-slicecrc", "1", "-g", "1"});
      add_ffv1_slices(s.request, out);
      return;
    case Codec::kProres:
      add_prores(s, quality, out);
      return;
    case Codec::kPng:
      return;
  }
  out.insert(out.end(), {"-g", std::to_string(keyframe_interval(s.frame_rate)), "-flags", "+cgop"});
}

// What the encoder takes where it has the same samples in another order.
std::string encoder_pixel_format(const OutputRequest& request) {
  const Codec codec = request.codec;
  const PixelFormat format = request.format;
  if (!request.encoder.empty()) return std::string(sharding::card_format_of(to_string(codec), format.ffmpeg_name()));
  if (codec == Codec::kFfv1 && format.is_rgb() && format.bit_depth == 8) return "bgr0";
  if (codec == Codec::kPng && format.bit_depth == 16) return format.is_rgb() ? "rgb48be" : "gray16be";
  return format.ffmpeg_name();
}

// Newer versions take the tags from the frames, older ones from the options: both are told. The planes
// themselves are not touched, as frames and encoder agree.
void add_color(const ColorDescription& color, PixelFormat format, Arguments& out) {
  const auto number = [](auto value) { return std::to_string(static_cast<int>(value)); };
  std::string filter = "setparams=field_mode=prog";
  if (color.range != ColorRange::kUnspecified) {
    filter += fmt::format(":range={}", color.range == ColorRange::kFull ? "pc" : "tv");
  }
  if (color.matrix != ColorMatrix::kUnspecified && color.matrix != ColorMatrix::kRgb) {
    filter += fmt::format(":colorspace={}", number(color.matrix));
  }
  if (color.transfer != ColorTransfer::kUnspecified) {
    filter += fmt::format(":color_trc={}", number(color.transfer));
  }
  if (color.primaries != ColorPrimaries::kUnspecified) {
    filter += fmt::format(":color_primaries={}", number(color.primaries));
  }
  out.insert(out.end(), {"-vf", filter});
  if (color.range != ColorRange::kUnspecified) {
    out.insert(out.end(), {"-color_range", number(color.range)});
  }
  if (color.matrix != ColorMatrix::kUnspecified && color.matrix != ColorMatrix::kRgb) {
    out.insert(out.end(), {"-colorspace", number(color.matrix)});
  }
  if (color.transfer != ColorTransfer::kUnspecified) {
    out.insert(out.end(), {"-color_trc", number(color.transfer)});
  }
  if (color.primaries != ColorPrimaries::kUnspecified) {
    out.insert(out.end(), {"-color_primaries", number(color.primaries)});
  }
  if (color.siting != ChromaSiting::kUnspecified && format.has_chroma_planes()) {
    out.insert(out.end(), {"-chroma_sample_location", number(color.siting)});
  }
}

std::string digest_of(const MediaTools& tools, const EncoderSettings& s) {
  std::string text = fmt::format("{}\n{}\n{}x{} {}\n{}\n{}\n{}\n{}\n", kDigestVersion, tools.identity,
                                 s.request.width, s.request.height, s.request.format.ffmpeg_name(),
                                 s.time_base.text(), s.frame_rate.text(), s.sample_aspect.text(),
                                 x265_hdr_options(s.hdr));
  for (const auto& argument : s.arguments) text += argument + "\n";
  return sha256(text).hex();
}

// Some builds carry an encoder without all of its depths (an x265 of 8 bits only), and would encode fewer bits
// without a word.
Status check_depth(const MediaTools& tools, const OutputRequest& request) {
  const std::string name = request.encoder.empty() ? std::string(encoder_name(request.codec)) : request.encoder;
  const std::string question = fmt::format("encoder={}", name);
  KILN_TRY_ASSIGN(const std::string help, tools.answers->ask({"-v", "error", "-h", question}));
  constexpr std::string_view kLabel = "Supported pixel formats:";
  const auto at = help.find(kLabel);
  if (at == std::string::npos) return {};  // it does not say; then the encoder will
  const std::string_view rest = std::string_view(help).substr(at + kLabel.size());
  const auto names = split(rest.substr(0, rest.find('\n')), ' ');
  const std::string wanted = encoder_pixel_format(request);
  if (std::find(names.begin(), names.end(), wanted) != names.end()) return {};
  return fail(bad_config("the {} of {} (version {}) was built without {}; use another codec, or name an ffmpeg that "
                         "has it with --ffmpeg (Debian's has)",
                         name, tools.ffmpeg_path, tools.version, wanted));
}

Status check_preset(const OutputRequest& request) {
  static constexpr std::array<std::string_view, 10> kX26x{"ultrafast", "superfast", "veryfast", "faster", "fast",
                                                          "medium",    "slow",      "slower",   "veryslow", "placebo"};
  static constexpr std::array<std::string_view, 13> kSvt{"0", "1", "2", "3",  "4",  "5", "6",
                                                         "7", "8", "9", "10", "11", "12"};
  if (request.preset.empty()) return {};
  std::span<const std::string_view> known;
  if (request.codec == Codec::kH264 || request.codec == Codec::kHevc) known = kX26x;
  if (request.codec == Codec::kAv1) known = kSvt;
  if (std::find(known.begin(), known.end(), request.preset) != known.end()) return {};
  if (known.empty()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{} has no presets, but '{}' was given",
                           to_string(request.codec), request.preset));
  }
  return fail(make_error(ErrorCode::kInvalidArgument, "preset '{}' of {}: it goes from {} to {}.{}", request.preset,
                         to_string(request.codec), known.front(), known.back(), did_you_mean(request.preset, known)));
}

// NUT does not say that a picture is to be turned; Matroska of an old ffmpeg says it for quarter turns, with our help.
Status check_rotation(const MediaTools& tools, const ClipInfo& clip, Container container) {
  if (!clip.display_matrix) return {};
  const bool nut = container == Container::kNut;
  const bool kept = !nut && (container != Container::kMatroska || matroska_holds_turn(tools, *clip.display_matrix));
  if (kept) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, ExitCode::kInputRefused,
                         "{} is stored turned{}, and {} as written by ffmpeg {} cannot say so: it would play on its "
                         "side; write .mp4 or .mov{}",
                         clip.source.path, nut ? "" : " or mirrored", to_string(container), tools.version,
                         nut ? ", or .mkv" : ""));
}

}  // namespace

Result<EncoderSettings> plan_encoder(const MediaTools& tools, const ClipInfo& clip,
                                     const OutputRequest& request) {
  KILN_TRY(check_codec(request.codec, request.container, request.format, request.width, request.height));
  if (request.encoder.empty()) {
    KILN_TRY(check_encoder(tools, request.codec));
    KILN_TRY(check_preset(request));
  } else {
    KILN_TRY(check_card_encoder(tools, request));
  }
  KILN_TRY(check_depth(tools, request));
  KILN_TRY(check_rotation(tools, clip, request.container));
  const Quality range = quality_of(request.codec);
  const int quality = request.quality < 0 ? range.standard : request.quality;
  if (quality < range.best || quality > range.worst) {
    return fail(make_error(ErrorCode::kInvalidArgument, "quality {} of {}: it goes from {} to {}", quality,
                           to_string(request.codec), range.best, range.worst));
  }
  EncoderSettings settings;
  settings.request = request;
  settings.request.encoder_threads = std::clamp(request.encoder_threads, 1, kThreadsMax);
  settings.sample_aspect = clip.sample_aspect;
  settings.hdr = clip.hdr;
  settings.time_base = clip.time_base;
  settings.frame_rate = clip.frame_rate.is_positive() ? clip.frame_rate : Rational{25, 1};
  add_codec(settings, quality, settings.arguments);
  settings.arguments.insert(settings.arguments.end(),
                            {"-pix_fmt", encoder_pixel_format(request)});
  add_color(request.color, request.format, settings.arguments);
  settings.digest = digest_of(tools, settings);
  return settings;
}

}  // namespace kiln::lane
