// How code values of a clip map to colours: the tags that a video stream carries.
#pragma once

#include <cstdint>
#include <string_view>

#include "lane/media/pixel_format.h"

namespace kiln::lane {

// Values of the four enumerations are the code points of ITU-T H.273, as ffmpeg uses them.
enum class ColorRange : std::uint8_t { kUnspecified = 0, kLimited = 1, kFull = 2 };  // ffmpeg's numbers

enum class ColorMatrix : std::uint8_t {
  kRgb = 0,
  kBt709 = 1,
  kUnspecified = 2,
  kFcc = 4,
  kBt470bg = 5,    // BT.601, 625 lines
  kSmpte170m = 6,  // BT.601, 525 lines; same coefficients as kBt470bg
  kSmpte240m = 7,
  kYcgco = 8,
  kBt2020Ncl = 9,
  kBt2020Cl = 10,
  kSmpte2085 = 11,
  kChromaDerivedNcl = 12,
  kChromaDerivedCl = 13,
  kIctcp = 14,
};

enum class ColorTransfer : std::uint8_t {
  kBt709 = 1,
  kUnspecified = 2,
  kGamma22 = 4,
  kGamma28 = 5,
  kSmpte170m = 6,
  kSmpte240m = 7,
  kLinear = 8,
  kLog100 = 9,
  kLog316 = 10,
  kIec61966_2_4 = 11,
  kBt1361 = 12,
  kSrgb = 13,
  kBt2020Ten = 14,
  kBt2020Twelve = 15,
  kPq = 16,
  kSmpte428 = 17,
  kHlg = 18,
};

enum class ColorPrimaries : std::uint8_t {
  kBt709 = 1,
  kUnspecified = 2,
  kBt470m = 4,
  kBt470bg = 5,
  kSmpte170m = 6,
  kSmpte240m = 7,
  kFilm = 8,
  kBt2020 = 9,
  kSmpte428 = 10,
  kSmpte431 = 11,
  kSmpte432 = 12,
  kEbu3213 = 22,
};

// Where a chroma sample of 4:2:0 or 4:2:2 lies among its luma samples.
enum class ChromaSiting : std::uint8_t {
  kUnspecified = 0,
  kLeft = 1,      // MPEG-2, H.264 default
  kCenter = 2,    // JPEG, MPEG-1
  kTopLeft = 3,   // BT.2020, DV
  kTop = 4,
  kBottomLeft = 5,
  kBottom = 6,
};

struct ColorDescription {
  ColorRange range = ColorRange::kUnspecified;
  ColorMatrix matrix = ColorMatrix::kUnspecified;
  ColorTransfer transfer = ColorTransfer::kUnspecified;
  ColorPrimaries primaries = ColorPrimaries::kUnspecified;
  ChromaSiting siting = ChromaSiting::kUnspecified;

  bool operator==(const ColorDescription&) const = default;
};

// The names that ffprobe prints; an unknown or empty name is kUnspecified.
[[nodiscard]] ColorRange color_range_from_ffmpeg(std::string_view name);
[[nodiscard]] ColorMatrix color_matrix_from_ffmpeg(std::string_view name);
[[nodiscard]] ColorTransfer color_transfer_from_ffmpeg(std::string_view name);
[[nodiscard]] ColorPrimaries color_primaries_from_ffmpeg(std::string_view name);
[[nodiscard]] ChromaSiting chroma_siting_from_ffmpeg(std::string_view name);
[[nodiscard]] std::string_view to_ffmpeg(ColorRange range);
[[nodiscard]] std::string_view to_ffmpeg(ColorMatrix matrix);
[[nodiscard]] std::string_view to_ffmpeg(ColorTransfer transfer);
[[nodiscard]] std::string_view to_ffmpeg(ColorPrimaries primaries);
[[nodiscard]] std::string_view to_ffmpeg(ChromaSiting siting);

// What to compute with where the clip says nothing, as players do: range full for RGB and limited
// otherwise, BT.709 from 720 lines up (or more than 1280 across) and BT.601 below, siting left.
// Transfer and primaries stay as they are: nothing is computed with them. The tags of the output
// are those of the source, not these.
[[nodiscard]] ColorDescription resolve_for_conversion(const ColorDescription& tags, PixelFormat format,
                                                      int width, int height);

}  // namespace kiln::lane
