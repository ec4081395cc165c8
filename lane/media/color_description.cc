#include "lane/media/color_description.h"

#include <array>
#include <span>
#include <utility>

namespace kiln::lane {
namespace {

template <typename Enum>
using Name = std::pair<std::string_view, Enum>;

// The first name of a value is the one that is written; the others are what some versions print.
constexpr std::array<Name<ColorRange>, 6> kRanges{{
    {"tv", ColorRange::kLimited},
    {"pc", ColorRange::kFull},
    {"limited", ColorRange::kLimited},
    {"mpeg", ColorRange::kLimited},
    {"full", ColorRange::kFull},
    {"jpeg", ColorRange::kFull},
}};

constexpr std::array<Name<ColorMatrix>, 17> kMatrices{{
    {"gbr", ColorMatrix::kRgb},
    {"rgb", ColorMatrix::kRgb},
    {"bt709", ColorMatrix::kBt709},
    {"fcc", ColorMatrix::kFcc},
    {"bt470bg", ColorMatrix::kBt470bg},
    {"smpte170m", ColorMatrix::kSmpte170m},
    {"smpte240m", ColorMatrix::kSmpte240m},
    {"ycgco", ColorMatrix::kYcgco},
    {"bt2020nc", ColorMatrix::kBt2020Ncl},
    {"bt2020_ncl", ColorMatrix::kBt2020Ncl},
    {"bt2020c", ColorMatrix::kBt2020Cl},
    {"bt2020_cl", ColorMatrix::kBt2020Cl},
    {"smpte2085", ColorMatrix::kSmpte2085},
    {"chroma-derived-nc", ColorMatrix::kChromaDerivedNcl},
    {"chroma-derived-c", ColorMatrix::kChromaDerivedCl},
    {"ictcp", ColorMatrix::kIctcp},
    {"unknown", ColorMatrix::kUnspecified},
}};

constexpr std::array<Name<ColorTransfer>, 19> kTransfers{{
    {"bt709", ColorTransfer::kBt709},
    {"bt470m", ColorTransfer::kGamma22},
    {"gamma22", ColorTransfer::kGamma22},
    {"bt470bg", ColorTransfer::kGamma28},
    {"gamma28", ColorTransfer::kGamma28},
    {"smpte170m", ColorTransfer::kSmpte170m},
    {"smpte240m", ColorTransfer::kSmpte240m},
    {"linear", ColorTransfer::kLinear},
    {"log100", ColorTransfer::kLog100},
    {"log316", ColorTransfer::kLog316},
    {"iec61966-2-4", ColorTransfer::kIec61966_2_4},
    {"bt1361e", ColorTransfer::kBt1361},
    {"iec61966-2-1", ColorTransfer::kSrgb},
    {"bt2020-10", ColorTransfer::kBt2020Ten},
    {"bt2020-12", ColorTransfer::kBt2020Twelve},
    {"smpte2084", ColorTransfer::kPq},
    {"smpte428", ColorTransfer::kSmpte428},
    {"arib-std-b67", ColorTransfer::kHlg},
    {"unknown", ColorTransfer::kUnspecified},
}};

constexpr std::array<Name<ColorPrimaries>, 13> kPrimaries{{
    {"bt709", ColorPrimaries::kBt709},
    {"bt470m", ColorPrimaries::kBt470m},
    {"bt470bg", ColorPrimaries::kBt470bg},
    {"smpte170m", ColorPrimaries::kSmpte170m},
    {"smpte240m", ColorPrimaries::kSmpte240m},
    {"film", ColorPrimaries::kFilm},
    {"bt2020", ColorPrimaries::kBt2020},
    {"smpte428", ColorPrimaries::kSmpte428},
    {"smpte431", ColorPrimaries::kSmpte431},
    {"smpte432", ColorPrimaries::kSmpte432},
    {"ebu3213", ColorPrimaries::kEbu3213},
    {"jedec-p22", ColorPrimaries::kEbu3213},
    {"unknown", ColorPrimaries::kUnspecified},
}};

constexpr std::array<Name<ChromaSiting>, 7> kSitings{{
    {"left", ChromaSiting::kLeft},
    {"center", ChromaSiting::kCenter},
    {"topleft", ChromaSiting::kTopLeft},
    {"top", ChromaSiting::kTop},
    {"bottomleft", ChromaSiting::kBottomLeft},
    {"bottom", ChromaSiting::kBottom},
    {"unspecified", ChromaSiting::kUnspecified},
}};

template <typename Enum, std::size_t N>
Enum value_of(const std::array<Name<Enum>, N>& names, std::string_view name) {
  for (const auto& [known, value] : names) {
    if (known == name) return value;
  }
  return Enum::kUnspecified;
}

template <typename Enum, std::size_t N>
std::string_view name_of(const std::array<Name<Enum>, N>& names, Enum value) {
  for (const auto& [name, known] : names) {
    if (known == value) return name;
  }
  return "unknown";
}

}  // namespace

ColorRange color_range_from_ffmpeg(std::string_view name) { return value_of(kRanges, name); }
ColorMatrix color_matrix_from_ffmpeg(std::string_view name) { return value_of(kMatrices, name); }
ColorTransfer color_transfer_from_ffmpeg(std::string_view name) { return value_of(kTransfers, name); }
ColorPrimaries color_primaries_from_ffmpeg(std::string_view name) {
  return value_of(kPrimaries, name);
}
ChromaSiting chroma_siting_from_ffmpeg(std::string_view name) { return value_of(kSitings, name); }

std::string_view to_ffmpeg(ColorRange range) { return name_of(kRanges, range); }
std::string_view to_ffmpeg(ColorMatrix matrix) { return name_of(kMatrices, matrix); }
std::string_view to_ffmpeg(ColorTransfer transfer) { return name_of(kTransfers, transfer); }
std::string_view to_ffmpeg(ColorPrimaries primaries) { return name_of(kPrimaries, primaries); }
std::string_view to_ffmpeg(ChromaSiting siting) { return name_of(kSitings, siting); }

ColorDescription resolve_for_conversion(const ColorDescription& tags, PixelFormat format, int width,
                                        int height) {
  constexpr int kHighDefinitionLines = 720;
  constexpr int kHighDefinitionColumns = 1280;
  ColorDescription resolved = tags;
  if (resolved.range == ColorRange::kUnspecified) {
    resolved.range = format.is_rgb() ? ColorRange::kFull : ColorRange::kLimited;
  }
  if (format.is_rgb()) resolved.matrix = ColorMatrix::kRgb;
  if (resolved.matrix == ColorMatrix::kUnspecified) {
    const bool high = height >= kHighDefinitionLines || width > kHighDefinitionColumns;
    resolved.matrix = high ? ColorMatrix::kBt709 : ColorMatrix::kSmpte170m;
  }
  if (resolved.siting == ChromaSiting::kUnspecified) resolved.siting = ChromaSiting::kLeft;
  return resolved;
}

}  // namespace kiln::lane
