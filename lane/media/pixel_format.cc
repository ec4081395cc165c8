#include "lane/media/pixel_format.h"

#include <array>
#include <utility>

namespace kiln::lane {
namespace {

using Entry = std::pair<std::string_view, PixelFormat>;
constexpr auto k420 = PixelLayout::kYuv420;
constexpr auto k422 = PixelLayout::kYuv422;
constexpr auto k444 = PixelLayout::kYuv444;
constexpr auto kGray = PixelLayout::kGray;
constexpr auto kRgb = PixelLayout::kRgb;

// The first entry of a format is the name we ask ffmpeg for.
constexpr std::array<Entry, 22> kNative{{
    {"yuv420p", {k420, 8, false}},      {"yuv422p", {k422, 8, false}},
    {"yuv444p", {k444, 8, false}},      {"yuv420p10le", {k420, 10, false}},
    {"yuv422p10le", {k422, 10, false}}, {"yuv444p10le", {k444, 10, false}},
    {"yuv420p12le", {k420, 12, false}}, {"yuv422p12le", {k422, 12, false}},
    {"yuv444p12le", {k444, 12, false}}, {"gray", {kGray, 8, false}},
    {"gray10le", {kGray, 10, false}},   {"gray12le", {kGray, 12, false}},
    {"gray16le", {kGray, 16, false}},   {"rgb24", {kRgb, 8, true}},
    {"rgb48le", {kRgb, 16, true}},      {"gbrp", {kRgb, 8, false}},
    {"gbrp10le", {kRgb, 10, false}},    {"gbrp12le", {kRgb, 12, false}},
    {"gbrp16le", {kRgb, 16, false}},    {"yuvj420p", {k420, 8, false}},
    {"yuvj422p", {k422, 8, false}},     {"yuvj444p", {k444, 8, false}},
}};

struct Rule {
  std::string_view name;
  PixelFormat format;
  std::string_view what_changes;
};

constexpr std::string_view kAlpha = "alpha is dropped";
constexpr std::string_view kUpsampled = "chroma is upsampled";
constexpr std::string_view kReduced = "bit depth is reduced to 12";

constexpr std::array<Rule, 55> kNearest{{
    {"nv12", {k420, 8, false}, ""},
    {"nv21", {k420, 8, false}, ""},
    {"p010le", {k420, 10, false}, ""},
    {"p012le", {k420, 12, false}, ""},
    {"p016le", {k420, 12, false}, kReduced},
    {"nv16", {k422, 8, false}, ""},
    {"nv20le", {k422, 10, false}, ""},
    {"p210le", {k422, 10, false}, ""},
    {"nv24", {k444, 8, false}, ""},
    {"yuyv422", {k422, 8, false}, ""},
    {"uyvy422", {k422, 8, false}, ""},
    {"yvyu422", {k422, 8, false}, ""},
    {"y210le", {k422, 10, false}, ""},
    {"yuv411p", {k422, 8, false}, kUpsampled},
    {"yuvj411p", {k422, 8, false}, kUpsampled},
    {"yuv410p", {k420, 8, false}, kUpsampled},
    {"yuv440p", {k444, 8, false}, kUpsampled},
    {"yuvj440p", {k444, 8, false}, kUpsampled},
    {"yuv440p10le", {k444, 10, false}, kUpsampled},
    {"yuv440p12le", {k444, 12, false}, kUpsampled},
    {"yuv420p9le", {k420, 10, false}, ""},
    {"yuv422p9le", {k422, 10, false}, ""},
    {"yuv444p9le", {k444, 10, false}, ""},
    {"yuv420p14le", {k420, 12, false}, kReduced},
    {"yuv422p14le", {k422, 12, false}, kReduced},
    {"yuv444p14le", {k444, 12, false}, kReduced},
    {"yuv420p16le", {k420, 12, false}, kReduced},
    {"yuv422p16le", {k422, 12, false}, kReduced},
    {"yuv444p16le", {k444, 12, false}, kReduced},
    {"yuva420p", {k420, 8, false}, kAlpha},
    {"yuva422p", {k422, 8, false}, kAlpha},
    {"yuva444p", {k444, 8, false}, kAlpha},
    {"yuva420p10le", {k420, 10, false}, kAlpha},
    {"yuva422p10le", {k422, 10, false}, kAlpha},
    {"yuva444p10le", {k444, 10, false}, kAlpha},
    {"yuva422p12le", {k422, 12, false}, kAlpha},
    {"yuva444p12le", {k444, 12, false}, kAlpha},
    {"yuva444p16le", {k444, 12, false}, "alpha is dropped, bit depth is reduced to 12"},
    {"ya8", {kGray, 8, false}, kAlpha},
    {"ya16le", {kGray, 16, false}, kAlpha},
    {"ya16be", {kGray, 16, false}, kAlpha},
    {"gray16be", {kGray, 16, false}, ""},
    {"monow", {kGray, 8, false}, ""},
    {"monob", {kGray, 8, false}, ""},
    {"bgr24", {kRgb, 8, true}, ""},
    {"bgr0", {kRgb, 8, true}, ""},
    {"rgb0", {kRgb, 8, true}, ""},
    {"0rgb", {kRgb, 8, true}, ""},
    {"pal8", {kRgb, 8, true}, kAlpha},
    {"rgba", {kRgb, 8, true}, kAlpha},
    {"bgra", {kRgb, 8, true}, kAlpha},
    {"argb", {kRgb, 8, true}, kAlpha},
    {"gbrap", {kRgb, 8, false}, kAlpha},
    {"rgb48be", {kRgb, 16, true}, ""},
    {"rgba64be", {kRgb, 16, true}, kAlpha},
}};

int halved_up(int size, int shift) { return (size + (1 << shift) - 1) >> shift; }

}  // namespace

std::optional<PixelFormat> PixelFormat::from_ffmpeg_name(std::string_view name) {
  for (const auto& [known, format] : kNative) {
    if (known == name) return format;
  }
  return std::nullopt;
}

std::string PixelFormat::ffmpeg_name() const {
  for (const auto& [name, format] : kNative) {
    if (format == *this) return std::string(name);
  }
  return "unknown";
}

int PixelFormat::plane_count() const {
  return layout == PixelLayout::kGray || (layout == PixelLayout::kRgb && packed) ? 1 : 3;
}

int PixelFormat::chroma_shift_x() const { return layout == k420 || layout == k422 ? 1 : 0; }
int PixelFormat::chroma_shift_y() const { return layout == k420 ? 1 : 0; }

int PixelFormat::plane_width(int plane, int width) const {
  if (layout == kRgb && packed) return 3 * width;
  return plane == 0 ? width : halved_up(width, chroma_shift_x());
}

int PixelFormat::plane_height(int plane, int height) const {
  return plane == 0 ? height : halved_up(height, chroma_shift_y());
}

std::size_t PixelFormat::plane_row_bytes(int plane, int width) const {
  return static_cast<std::size_t>(plane_width(plane, width)) *
         static_cast<std::size_t>(bytes_per_sample());
}

std::size_t PixelFormat::plane_bytes(int plane, int width, int height) const {
  return plane_row_bytes(plane, width) * static_cast<std::size_t>(plane_height(plane, height));
}

std::size_t PixelFormat::plane_offset_bytes(int plane, int width, int height) const {
  std::size_t offset = 0;
  for (int i = 0; i < plane; ++i) offset += plane_bytes(i, width, height);
  return offset;
}

std::size_t PixelFormat::frame_bytes(int width, int height) const {
  return plane_offset_bytes(plane_count(), width, height);
}

std::optional<NearestFormat> nearest_native_format(std::string_view ffmpeg_name) {
  if (const auto native = PixelFormat::from_ffmpeg_name(ffmpeg_name)) return NearestFormat{*native, ""};
  if (ffmpeg_name == "rgba64le" || ffmpeg_name == "bgra64le") {
    return NearestFormat{{kRgb, 16, true}, std::string(kAlpha)};
  }
  for (const auto& rule : kNearest) {
    if (rule.name == ffmpeg_name) return NearestFormat{rule.format, std::string(rule.what_changes)};
  }
  if (ffmpeg_name.ends_with("be")) {  // the same samples, bytes swapped
    return nearest_native_format(std::string(ffmpeg_name.substr(0, ffmpeg_name.size() - 2)) + "le");
  }
  return std::nullopt;
}

}  // namespace kiln::lane
