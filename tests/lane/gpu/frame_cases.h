// Every kind of frame that kernels and FrameConverter are compared on, and what is in them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lane/gpu/frame_kernels.h"
#include "tests/lane/color/color_frames.h"

namespace kiln::lane {

inline constexpr const char* kAllFormats[] = {
    "yuv420p",     "yuv422p",     "yuv444p",     "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le",
    "yuv422p12le", "yuv444p12le", "gray",        "gray10le",    "gray12le",    "gray16le",    "rgb24",
    "rgb48le",     "gbrp",        "gbrp10le",    "gbrp12le",    "gbrp16le"};
inline constexpr ChromaSiting kAllSitings[] = {ChromaSiting::kLeft, ChromaSiting::kCenter,     ChromaSiting::kTopLeft,
                                               ChromaSiting::kTop,  ChromaSiting::kBottomLeft, ChromaSiting::kBottom};
inline constexpr ColorMatrix kAllMatrices[] = {ColorMatrix::kSmpte170m, ColorMatrix::kBt709,     ColorMatrix::kBt2020Ncl,
                                               ColorMatrix::kFcc,       ColorMatrix::kSmpte240m, ColorMatrix::kYcgco};
inline constexpr ColorRange kBothRanges[] = {ColorRange::kLimited, ColorRange::kFull};

struct FrameCase {
  FrameKernelsSetup setup;
  std::string name;
};

// Each format with each range, and where it matters with each matrix and siting.
inline std::vector<FrameCase> frame_cases(const std::vector<std::pair<int, int>>& sizes) {
  std::vector<FrameCase> cases;
  const auto add = [&](const char* name, ColorRange range, ColorMatrix matrix, ChromaSiting siting) {
    for (const auto& [width, height] : sizes) {
      FrameKernelsSetup setup;
      setup.format = a_format(name);
      setup.color = a_color(range, matrix, siting);
      setup.width = width;
      setup.height = height;
      cases.push_back({setup, fmt::format("{} {} {} {} {}x{}", name, to_ffmpeg(range), to_ffmpeg(matrix),
                                          to_ffmpeg(siting), width, height)});
    }
  };
  for (const char* name : kAllFormats) {
    const PixelFormat format = a_format(name);
    for (const ColorRange range : kBothRanges) {
      for (const ColorMatrix matrix : kAllMatrices) {
        for (const ChromaSiting siting : kAllSitings) {
          if (format.is_rgb() && matrix != ColorMatrix::kBt709) continue;
          if (format.chroma_shift_x() == 0 && siting != ChromaSiting::kLeft) continue;
          add(name, range, matrix, siting);
        }
      }
    }
  }
  return cases;
}

inline FrameConverter converter_of(const FrameKernelsSetup& setup) {
  auto converter = FrameConverter::create(setup.format, setup.color, setup.width, setup.height, setup.out_of_gamut);
  KILN_CHECK(converter.has_value(), "{}", converter.error().message);
  return *std::move(converter);
}

class Noise {
 public:
  explicit Noise(std::uint32_t seed) : state_(seed) {}
  std::uint32_t next() {
    state_ = state_ * 1664525U + 1013904223U;
    return state_ >> 8U;
  }

 private:
  std::uint32_t state_;
};

// Any code value that the depth holds, also those outside the limited range.
inline std::vector<std::byte> noisy_planes(PixelFormat format, int width, int height) {
  Noise noise(7);
  std::vector<int> codes(format.frame_bytes(width, height) / static_cast<std::size_t>(format.bytes_per_sample()));
  for (int& code : codes) code = static_cast<int>(noise.next()) & format.max_value();
  return bytes_of(format, codes);
}

// From somewhat below 0 to somewhat above 1.
inline std::vector<float> noisy_rgb(int width, int height) {
  Noise noise(11);
  return an_image(width, height, [&noise](int, int, int) { return noise.next() / double{1U << 24U} * 1.2 - 0.1; });
}

}  // namespace kiln::lane
