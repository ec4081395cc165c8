// Frames and tags that the colour tests are made of.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "lane/media/color/frame_converter.h"

namespace kiln::lane {

inline ColorDescription a_color(ColorRange range, ColorMatrix matrix,
                                ChromaSiting siting = ChromaSiting::kLeft) {
  ColorDescription color;
  color.range = range;
  color.matrix = matrix;
  color.siting = siting;
  return color;
}

inline PixelFormat a_format(const std::string& name) {
  const auto format = PixelFormat::from_ffmpeg_name(name);
  KILN_CHECK(format.has_value(), "{} is no native format", name);
  return *format;
}

inline FrameConverter a_converter(const std::string& format, const ColorDescription& color,
                                  int width, int height,
                                  OutOfGamut out_of_gamut = OutOfGamut::kClamp) {
  auto converter = FrameConverter::create(a_format(format), color, width, height, out_of_gamut);
  KILN_CHECK(converter.has_value(), "{}", converter.error().message);
  return *std::move(converter);
}

inline std::vector<float> rgb_of(const FrameConverter& converter,
                                 const std::vector<std::byte>& planes) {
  std::vector<float> rgb(converter.rgb_floats());
  converter.to_rgb(planes, {rgb.data(), 3 * static_cast<std::size_t>(converter.width())});
  return rgb;
}

inline std::vector<std::byte> planes_of(const FrameConverter& converter,
                                        const std::vector<float>& rgb) {
  std::vector<std::byte> planes(converter.frame_bytes());
  converter.from_rgb({rgb.data(), 3 * static_cast<std::size_t>(converter.width())}, planes);
  return planes;
}

// Samples of a frame in the order of its bytes.
inline std::vector<int> codes_of(PixelFormat format, const std::vector<std::byte>& planes) {
  const auto step = static_cast<std::size_t>(format.bytes_per_sample());
  std::vector<int> codes;
  for (std::size_t i = 0; i < planes.size(); i += step) {
    std::uint16_t code = 0;
    std::memcpy(&code, planes.data() + i, step);
    codes.push_back(code);
  }
  return codes;
}

inline std::vector<std::byte> bytes_of(PixelFormat format, const std::vector<int>& codes) {
  const auto step = static_cast<std::size_t>(format.bytes_per_sample());
  std::vector<std::byte> planes(codes.size() * step);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto code = static_cast<std::uint16_t>(codes[i]);
    std::memcpy(planes.data() + i * step, &code, step);
  }
  return planes;
}

inline int largest_difference(const std::vector<int>& a, const std::vector<int>& b) {
  KILN_CHECK(a.size() == b.size(), "{} and {} samples", a.size(), b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// An RGB image from a function of position and channel.
inline std::vector<float> an_image(int width, int height,
                                   const std::function<double(int x, int y, int channel)>& value) {
  std::vector<float> rgb;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        rgb.push_back(static_cast<float>(value(x, y, channel)));
      }
    }
  }
  return rgb;
}

// Slow waves of different phase in the three channels, well inside the gamut.
inline std::vector<float> a_smooth_image(int width, int height, double depth = 0.3) {
  return an_image(width, height, [depth](int x, int y, int channel) {
    return 0.5 + depth * std::sin(x / 41.0 + channel) * std::cos(y / 37.0 - 2.0 * channel);
  });
}

}  // namespace kiln::lane
