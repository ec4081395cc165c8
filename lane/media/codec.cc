#include "lane/media/codec.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/output_name.h"
#include "base/text.h"

namespace kiln::lane {
namespace {

constexpr std::array kCodecs{Codec::kH264, Codec::kHevc,   Codec::kAv1,
                             Codec::kFfv1, Codec::kProres, Codec::kPng};

// What an encoder takes. Formats are listed in the order in which they stand in for another.
struct Limits {
  int width_min;
  int height_min;
  int side_max;
  std::int64_t pixels_max;
  std::span<const PixelFormat> formats;
  std::span<const Container> containers;
};

constexpr auto k420 = PixelLayout::kYuv420;
constexpr auto k422 = PixelLayout::kYuv422;
constexpr auto k444 = PixelLayout::kYuv444;
constexpr auto kGray = PixelLayout::kGray;
constexpr auto kRgb = PixelLayout::kRgb;

constexpr std::array<PixelFormat, 7> kH264Formats{{{k420, 8, false},
                                                   {k422, 8, false},
                                                   {k444, 8, false},
                                                   {k420, 10, false},
                                                   {k422, 10, false},
                                                   {k444, 10, false},
                                                   {kGray, 8, false}}};
constexpr std::array<PixelFormat, 10> kHevcFormats{{{k420, 8, false},
                                                    {k422, 8, false},
                                                    {k444, 8, false},
                                                    {k420, 10, false},
                                                    {k422, 10, false},
                                                    {k444, 10, false},
                                                    {k420, 12, false},
                                                    {k422, 12, false},
                                                    {k444, 12, false},
                                                    {kGray, 8, false}}};
constexpr std::array<PixelFormat, 2> kAv1Formats{{{k420, 8, false}, {k420, 10, false}}};
constexpr std::array<PixelFormat, 17> kFfv1Formats{{{k420, 8, false},
                                                    {k422, 8, false},
                                                    {k444, 8, false},
                                                    {k420, 10, false},
                                                    {k422, 10, false},
                                                    {k444, 10, false},
                                                    {k420, 12, false},
                                                    {k422, 12, false},
                                                    {k444, 12, false},
                                                    {kGray, 8, false},
                                                    {kGray, 10, false},
                                                    {kGray, 12, false},
                                                    {kGray, 16, false},
                                                    {kRgb, 8, true},
                                                    {kRgb, 10, false},
                                                    {kRgb, 12, false},
                                                    {kRgb, 16, true}}};
constexpr std::array<PixelFormat, 2> kProresFormats{{{k422, 10, false}, {k444, 10, false}}};
constexpr std::array<PixelFormat, 4> kPngFormats{
    {{kRgb, 8, true}, {kGray, 8, false}, {kRgb, 16, true}, {kGray, 16, false}}};

constexpr std::array kVideoContainers{Container::kMp4, Container::kMatroska, Container::kMov,
                                      Container::kNut};
constexpr std::array kAv1Containers{Container::kMp4, Container::kMatroska, Container::kNut};
constexpr std::array kStudioContainers{Container::kMatroska, Container::kMov, Container::kNut};
constexpr std::array kPngContainers{Container::kImageSequence, Container::kMatroska, Container::kMov,
                                    Container::kNut};

// H.264 level 6.2: 139264 macroblocks of 16×16. HEVC level 6.2: 35651584 samples, a side at most
// sqrt(8 × that). SVT-AV1: 64 to 16384 across, 64 to 8704 down. x265 crashes
// with some sizes below 64x32.
constexpr std::int64_t kH264Pixels = 139264LL * 256;
constexpr std::int64_t kHevcPixels = 35651584;
constexpr std::int64_t kAv1Pixels = 16384LL * 8704;
constexpr int kAv1HeightMax = 8704;
constexpr std::int64_t kAnyPixels = 1LL << 30U;

Limits limits_of(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return {2, 2, 16384, kH264Pixels, kH264Formats, kVideoContainers};
    case Codec::kHevc:
      return {64, 32, 16384, kHevcPixels, kHevcFormats, kVideoContainers};
    case Codec::kAv1:
      return {64, 64, 16384, kAv1Pixels, kAv1Formats, kAv1Containers};
    case Codec::kFfv1:
      return {1, 1, 32768, kAnyPixels, kFfv1Formats, kStudioContainers};
    case Codec::kProres:
      return {16, 16, 32768, kAnyPixels, kProresFormats, kStudioContainers};
    case Codec::kPng:
      break;
  }
  return {1, 1, 32768, kAnyPixels, kPngFormats, kPngContainers};
}

template <typename T>
bool contains(std::span<const T> values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool needs_even(Codec codec, int shift) { return shift > 0 && codec != Codec::kFfv1; }

// The first reason why `codec` cannot hold such frames, or empty.
std::string objection(Codec codec, PixelFormat format, int width, int height) {
  const Limits limits = limits_of(codec);
  if (!contains(limits.formats, format)) return fmt::format("does not hold {}", format.ffmpeg_name());
  if (needs_even(codec, format.chroma_shift_x()) && width % 2 != 0) {
    return fmt::format("needs an even width with {}, not {}", format.ffmpeg_name(), width);
  }
  if (needs_even(codec, format.chroma_shift_y()) && height % 2 != 0) {
    return fmt::format("needs an even height with {}, not {}", format.ffmpeg_name(), height);
  }
  if (width < limits.width_min || height < limits.height_min) {
    return fmt::format("starts at {}x{}, not {}x{}", limits.width_min, limits.height_min, width, height);
  }
  const bool too_tall = codec == Codec::kAv1 && height > kAv1HeightMax;
  if (width > limits.side_max || height > limits.side_max || too_tall ||
      static_cast<std::int64_t>(width) * height > limits.pixels_max) {
    return fmt::format("ends at {} pixels a frame and {} a side, {}x{} is more", limits.pixels_max,
                       limits.side_max, width, height);
  }
  return {};
}

std::string container_names(std::span<const Container> containers) {
  std::string names;
  for (const Container container : containers) {
    if (!names.empty()) names += ", ";
    names += to_string(container);
  }
  return names;
}

// "works: --codec ffv1, hevc; or yuv444p with h264".
std::string what_works(Codec refused, Container container, PixelFormat format, int width, int height) {
  std::string works;
  for (const Codec codec : kCodecs) {
    if (!contains(limits_of(codec).containers, container)) continue;
    if (!objection(codec, format, width, height).empty()) continue;
    works += works.empty() ? "" : ", ";
    works += to_string(codec);
  }
  if (works.empty()) {
    for (const Codec codec : kCodecs) {
      if (!objection(codec, format, width, height).empty()) continue;
      works += fmt::format("{}{} in {}", works.empty() ? "" : ", ", to_string(codec),
                           container_names(limits_of(codec).containers));
    }
  }
  std::string instead;
  for (const PixelFormat other : limits_of(refused).formats) {
    const bool keeps = other.bit_depth >= format.bit_depth && other.channels() >= format.channels();
    if (!keeps || !objection(refused, other, width, height).empty()) continue;
    instead = fmt::format("{}{} as {}", works.empty() ? "" : "; or ", to_string(refused),
                          other.ffmpeg_name());
    break;
  }
  if (works.empty() && instead.empty()) return "a smaller --scale would fit";
  return "what works: " + works + instead;
}

}  // namespace

std::string_view to_string(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return "h264";
    case Codec::kHevc:
      return "hevc";
    case Codec::kAv1:
      return "av1";
    case Codec::kFfv1:
      return "ffv1";
    case Codec::kProres:
      return "prores";
    case Codec::kPng:
      break;
  }
  return "png";
}

std::optional<Codec> codec_from_name(std::string_view name) {
  if (name == "h265") return Codec::kHevc;
  for (const Codec codec : kCodecs) {
    if (to_string(codec) == name) return codec;
  }
  return std::nullopt;
}

std::string_view encoder_name(Codec codec) {
  switch (codec) {
    case Codec::kH264:
      return "libx264";
    case Codec::kHevc:
      return "libx265";
    case Codec::kAv1:
      return "libsvtav1";
    case Codec::kProres:
      return "prores_ks";
    default:
      return to_string(codec);
  }
}

std::string_view to_string(Container container) {
  switch (container) {
    case Container::kMp4:
      return "mp4";
    case Container::kMov:
      return "mov";
    case Container::kMatroska:
      return "mkv";
    case Container::kNut:
      return "nut";
    case Container::kImageSequence:
      break;
  }
  return "image sequence";
}

Result<Container> container_of_output(std::string_view path) {
  KILN_TRY(check_output_name(std::string(path)));
  const std::string extension = extension_of(path);
  if (extension == "mp4" || extension == "m4v") return Container::kMp4;
  if (extension == "mov") return Container::kMov;
  if (extension == "mkv") return Container::kMatroska;
  if (extension == "nut") return Container::kNut;
  return Container::kImageSequence;
}

Codec default_codec(Container container) {
  return container == Container::kImageSequence ? Codec::kPng : Codec::kH264;
}

Status check_codec(Codec codec, Container container, PixelFormat format, int width, int height) {
  const Limits limits = limits_of(codec);
  const std::string works = what_works(codec, container, format, width, height);
  if (!contains(limits.containers, container)) {
    return fail(make_error(ErrorCode::kInvalidArgument, ExitCode::kInputRefused,
                           "{} does not go into {}; it goes into {}", to_string(codec),
                           to_string(container), container_names(limits.containers)));
  }
  const std::string reason = objection(codec, format, width, height);
  if (reason.empty()) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, ExitCode::kInputRefused, "{} {}; {}",
                         to_string(codec), reason, works));
}

std::optional<PixelFormat> nearest_encodable_format(Codec codec, PixelFormat format) {
  const auto formats = limits_of(codec).formats;
  if (contains(formats, format)) return format;
  std::optional<PixelFormat> best;
  int best_cost = 0;
  const auto chroma = [](PixelFormat f) {  // how much colour is kept, 4 kinds
    return f.layout == kGray ? 0 : 3 - f.chroma_shift_x() - f.chroma_shift_y();
  };
  for (const PixelFormat other : formats) {
    // Losing costs more than carrying too much, leaving RGB for YUV or back more than that, all colour most.
    const int depth = other.bit_depth - format.bit_depth;
    const int colour = chroma(other) - chroma(format);
    int cost = (depth < 0 ? -20 * depth : depth) + (colour < 0 ? -100 * colour : 5 * colour);
    if (other.is_rgb() != format.is_rgb()) cost += 1000;
    if (other.channels() < format.channels()) cost += 10000;
    if (!best || cost < best_cost) {
      best = other;
      best_cost = cost;
    }
  }
  return best;
}

Status check_encoder(const MediaTools& tools, Codec codec) {
  if (tools.has_encoder(encoder_name(codec))) return {};
  return fail(bad_config("{} (version {}) cannot encode {}: it was built without {}; use another codec, or name "
                         "an ffmpeg that has it with --ffmpeg (Debian's has all)",
                         tools.ffmpeg_path, tools.version, to_string(codec), encoder_name(codec)));
}

}  // namespace kiln::lane
