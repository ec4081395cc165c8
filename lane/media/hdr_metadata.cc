#include "lane/media/hdr_metadata.h"

#include <fmt/format.h>

#include <initializer_list>
#include <string_view>

namespace kiln::lane {
namespace {

constexpr double kChromaticityUnit = 0.00002;
constexpr double kLuminanceUnit = 0.0001;

// "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)" in the units above, as x264 and x265 read it.
std::string units_text(const MasteringDisplay& d) {
  return fmt::format("G({},{})B({},{})R({},{})WP({},{})L({},{})", d.green.x, d.green.y, d.blue.x, d.blue.y, d.red.x,
                     d.red.y, d.white.x, d.white.y, d.luminance_max, d.luminance_min);
}

// The same with the values themselves, as SVT-AV1 reads it.
std::string values_text(const MasteringDisplay& d) {
  const auto pair = [](Chromaticity c) {
    return fmt::format("({:.5f},{:.5f})", c.x * kChromaticityUnit, c.y * kChromaticityUnit);
  };
  return fmt::format("G{}B{}R{}WP{}L({:.4f},{:.4f})", pair(d.green), pair(d.blue), pair(d.red), pair(d.white),
                     d.luminance_max * kLuminanceUnit, d.luminance_min * kLuminanceUnit);
}

std::string light_text(const ContentLight& light) {
  return fmt::format("{},{}", light.max_content, light.max_frame_average);
}

std::string options(const HdrMetadata& hdr, std::string_view display_name,
                    std::string (*display_text)(const MasteringDisplay&), std::string_view light_name) {
  std::string out;
  if (hdr.display) out += fmt::format(":{}={}", display_name, display_text(*hdr.display));
  if (hdr.light) out += fmt::format(":{}={}", light_name, light_text(*hdr.light));
  return out;
}

void put(std::vector<std::byte>& out, std::uint64_t value, int byte_count) {
  for (int i = byte_count - 1; i >= 0; --i) {
    out.push_back(static_cast<std::byte>((value >> static_cast<unsigned>(8 * i)) & 0xFFU));
  }
}

void put_head(std::vector<std::byte>& out, std::uint32_t size, std::string_view type) {
  put(out, size, 4);
  for (const char c : type) out.push_back(static_cast<std::byte>(c));
}

}  // namespace

std::string x264_hdr_options(const HdrMetadata& hdr) { return options(hdr, "mastering-display", units_text, "cll"); }

std::string x265_hdr_options(const HdrMetadata& hdr) { return options(hdr, "master-display", units_text, "max-cll"); }

std::string svtav1_hdr_options(const HdrMetadata& hdr) {
  return options(hdr, "mastering-display", values_text, "content-light");
}

std::vector<std::byte> hdr_boxes(const HdrMetadata& hdr) {
  std::vector<std::byte> out;
  if (hdr.display) {
    const MasteringDisplay& d = *hdr.display;
    put_head(out, 32, "mdcv");
    for (const Chromaticity c : {d.green, d.blue, d.red, d.white}) put(out, c.x, 2), put(out, c.y, 2);
    put(out, d.luminance_max, 4);
    put(out, d.luminance_min, 4);
  }
  if (hdr.light) {
    put_head(out, 12, "clli");
    put(out, hdr.light->max_content, 2);
    put(out, hdr.light->max_frame_average, 2);
  }
  return out;
}

}  // namespace kiln::lane
