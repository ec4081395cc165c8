// Static HDR10 metadata: what the grading display showed, and how bright the whole clip gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kiln::lane {

// The units are those of the streams themselves (SEI messages, mdcv and clli boxes), so that nothing is rounded
// on the way. Zero: not known.
struct Chromaticity {
  std::uint16_t x = 0;  // CIE 1931, units of 0.00002
  std::uint16_t y = 0;
  bool operator==(const Chromaticity&) const = default;
};

struct MasteringDisplay {  // SMPTE ST 2086
  Chromaticity red;
  Chromaticity green;
  Chromaticity blue;
  Chromaticity white;
  std::uint32_t luminance_max = 0;  // units of 0.0001 cd/m²
  std::uint32_t luminance_min = 0;
  bool operator==(const MasteringDisplay&) const = default;
};

struct ContentLight {  // CTA-861.3, cd/m²
  std::uint16_t max_content = 0;
  std::uint16_t max_frame_average = 0;
  bool operator==(const ContentLight&) const = default;
};

struct HdrMetadata {
  std::optional<MasteringDisplay> display;
  std::optional<ContentLight> light;

  [[nodiscard]] bool empty() const { return !display && !light; }
  bool operator==(const HdrMetadata&) const = default;
};

// Options that make an encoder write it into the stream, each with a colon in front; empty where there is none.
[[nodiscard]] std::string x264_hdr_options(const HdrMetadata& hdr);
[[nodiscard]] std::string x265_hdr_options(const HdrMetadata& hdr);
[[nodiscard]] std::string svtav1_hdr_options(const HdrMetadata& hdr);

// The mdcv and clli boxes of a sample entry. Muxers carry what they say over into any container that has a place
// for it, whatever the codec.
[[nodiscard]] std::vector<std::byte> hdr_boxes(const HdrMetadata& hdr);

}  // namespace kiln::lane
