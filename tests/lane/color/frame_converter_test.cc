#include "lane/media/color/frame_converter.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <limits>

#include "lane/media/color/frame_hash.h"
#include "tests/lane/color/color_frames.h"

namespace kiln::lane {
namespace {

constexpr ChromaSiting kSitings[] = {ChromaSiting::kLeft,       ChromaSiting::kCenter,
                                     ChromaSiting::kTopLeft,    ChromaSiting::kTop,
                                     ChromaSiting::kBottomLeft, ChromaSiting::kBottom};
constexpr ColorMatrix kMatrices[] = {ColorMatrix::kSmpte170m, ColorMatrix::kBt709,
                                     ColorMatrix::kBt2020Ncl};
constexpr ColorRange kRanges[] = {ColorRange::kLimited, ColorRange::kFull};
constexpr const char* kFormats[] = {"yuv420p",     "yuv422p",     "yuv444p",     "yuv420p10le",
                                    "yuv422p10le", "yuv444p10le", "yuv420p12le", "gray",
                                    "gray10le",    "gray16le",    "rgb24",       "rgb48le",
                                    "gbrp",        "gbrp10le",    "gbrp16le"};
constexpr std::pair<int, int> kSizes[] = {{64, 48}, {65, 47}, {1, 1}, {2, 3}, {3, 2}, {7, 1}};

// Calls check(converter) for every format, range, matrix, siting and size.
void for_each_converter(
    const std::function<void(const FrameConverter&, const std::string&)>& check) {
  for (const char* format : kFormats) {
    for (const ColorRange range : kRanges) {
      for (const ColorMatrix matrix : kMatrices) {
        for (const ChromaSiting siting : kSitings) {
          for (const auto& [width, height] : kSizes) {
            check(a_converter(format, a_color(range, matrix, siting), width, height),
                  fmt::format("{} {} {} {} {}x{}", format, to_ffmpeg(range), to_ffmpeg(matrix),
                              to_ffmpeg(siting), width, height));
          }
        }
      }
    }
  }
}

// Beyond an edge chroma is repeated, so a slope there is not kept exactly: waves of as many code
// values at every depth.
TEST(FrameConverterTest, RoundTripStaysWithinOneCodeValueForEveryFormat) {
  for_each_converter([](const FrameConverter& converter, const std::string& name) {
    const PixelFormat format = converter.format();
    const double depth = format.chroma_shift_x() == 0 ? 0.3 : 0.2 * 255 / format.max_value();
    const auto codes = codes_of(
        format, planes_of(converter, a_smooth_image(converter.width(), converter.height(), depth)));
    const auto rgb = rgb_of(converter, bytes_of(format, codes));
    const auto again = codes_of(format, planes_of(converter, rgb));
    EXPECT_LE(largest_difference(codes, again), 1) << name;
  });
}

TEST(FrameConverterTest, RoundTripOfNoiseStaysWithinOneCodeValueWhereChromaIsNotHalved) {
  std::uint32_t seed = 1;
  const auto noise = an_image(64, 48, [&seed](int, int, int) {
    seed = seed * 1664525U + 1013904223U;
    return static_cast<double>(seed >> 8U) / static_cast<double>(1U << 24U);
  });
  for (const char* format : {"yuv444p", "yuv444p10le", "rgb24", "rgb48le", "gbrp", "gbrp10le"}) {
    for (const ColorRange range : kRanges) {
      for (const ColorMatrix matrix : kMatrices) {
        const FrameConverter converter = a_converter(format, a_color(range, matrix), 64, 48);
        const auto codes = codes_of(converter.format(), planes_of(converter, noise));
        const auto rgb = rgb_of(converter, bytes_of(converter.format(), codes));
        EXPECT_LE(
            largest_difference(codes, codes_of(converter.format(), planes_of(converter, rgb))), 1)
            << format;
      }
    }
  }
}

TEST(FrameConverterTest, FlatColoursComeBackExactlyInEveryFormat) {
  for_each_converter([](const FrameConverter& converter, const std::string& name) {
    const auto flat = an_image(converter.width(), converter.height(),
                               [](int, int, int channel) { return 0.3 + 0.2 * channel; });
    const auto planes = planes_of(converter, flat);
    const auto again = planes_of(converter, rgb_of(converter, planes));
    EXPECT_EQ(planes, again) << name;
  });
}

// Blue minus luma is 2 (1 - Kb) Cb: the chroma that was used for a pixel, in code values.
double chroma_at(const std::vector<float>& rgb, int width, int x, int y) {
  const std::size_t pixel = 3 * static_cast<std::size_t>(y * width + x);
  const double luma = 0.2126 * double{rgb[pixel]} + 0.7152 * double{rgb[pixel + 1]} +
                      0.0722 * double{rgb[pixel + 2]};
  return (double{rgb[pixel + 2]} - luma) / 1.8556 * 896.0 + 512.0;
}

TEST(FrameConverterTest, UpsamplingMovesARampByExactlyThePhaseOfItsSiting) {
  constexpr int kSide = 48;
  const auto format = a_format("yuv420p10le");
  for (const ChromaSiting siting : kSitings) {
    for (const bool across : {true, false}) {
      std::vector<int> codes(static_cast<std::size_t>(kSide * kSide), 500);
      for (int c = 0; c < kSide * kSide / 4; ++c)
        codes.push_back(400 + 8 * (across ? c % (kSide / 2) : c / (kSide / 2)));
      codes.resize(static_cast<std::size_t>(kSide * kSide) * 3 / 2, 512);
      const FrameConverter converter =
          a_converter("yuv420p10le", a_color(ColorRange::kLimited, ColorMatrix::kBt709, siting),
                      kSide, kSide, OutOfGamut::kKeep);
      const auto rgb = rgb_of(converter, bytes_of(format, codes));
      const double offset =
          (across ? chroma_offset(siting).across : chroma_offset(siting).down) / 2.0;
      for (int i = 8; i < kSide - 8; ++i) {
        const double seen = across ? chroma_at(rgb, kSide, i, 20) : chroma_at(rgb, kSide, 20, i);
        EXPECT_NEAR(seen, 400.0 + 8.0 * (i - offset) / 2.0, 0.01)
            << to_ffmpeg(siting) << across << i;
      }
    }
  }
}

TEST(FrameConverterTest, DownsamplingTakesARampAtThePhaseOfItsSiting) {
  constexpr int kSide = 48;
  for (const ChromaSiting siting : kSitings) {
    for (const bool across : {true, false}) {
      // Luma 0.5 everywhere, Cb rising by 4 code values a pixel.
      const auto rgb = an_image(kSide, kSide, [across](int x, int y, int channel) {
        const double cb = (4.0 * (across ? x : y) - 90.0) / 896.0;
        if (channel == 0) return 0.5;
        return channel == 1 ? 0.5 - 1.8556 * 0.0722 / 0.7152 * cb : 0.5 + 1.8556 * cb;
      });
      const FrameConverter converter = a_converter(
          "yuv420p10le", a_color(ColorRange::kLimited, ColorMatrix::kBt709, siting), kSide, kSide);
      const auto codes = codes_of(converter.format(), planes_of(converter, rgb));
      const double offset =
          (across ? chroma_offset(siting).across : chroma_offset(siting).down) / 2.0;
      for (int c = 4; c < kSide / 2 - 4; ++c) {
        const int place = across ? 10 * (kSide / 2) + c : c * (kSide / 2) + 10;
        EXPECT_NEAR(codes[static_cast<std::size_t>(kSide * kSide + place)],
                    512.0 - 90.0 + 4.0 * (2 * c + offset), 0.51)
            << to_ffmpeg(siting) << across << c;
      }
    }
  }
}

TEST(FrameConverterTest, HalvingChromaLeavesNoFalseColourOfFineStripes) {
  // Red and green columns in turn: on the coarse grid only their mean can stay.
  const auto stripes =
      an_image(64, 16, [](int x, int, int channel) { return channel == x % 2 ? 0.6 : 0.2; });
  for (const ChromaSiting siting : kSitings) {
    const FrameConverter converter =
        a_converter("yuv420p", a_color(ColorRange::kLimited, ColorMatrix::kBt709, siting), 64, 16);
    const auto codes = codes_of(converter.format(), planes_of(converter, stripes));
    const int cb = codes[64 * 16 + 3 * 32 + 10];
    for (int c = 4; c < 28; ++c)
      EXPECT_NEAR(codes[static_cast<std::size_t>(64 * 16 + 3 * 32 + c)], cb, 1);
  }
}

TEST(FrameConverterTest, ClampsWhatNoDisplayShowsAndNeverPassesNanOn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const char* format : {"yuv444p", "rgb24", "gbrp"}) {
    const FrameConverter converter =
        a_converter(format, a_color(ColorRange::kLimited, ColorMatrix::kBt709), 3, 1);
    EXPECT_EQ(planes_of(converter, {nan, -3.0F, -infinity, 2.0F, infinity, 1.0F, 0.5F, 0.5F, 0.5F}),
              planes_of(converter, {0.0F, 0.0F, 0.0F, 1.0F, 1.0F, 1.0F, 0.5F, 0.5F, 0.5F}))
        << format;
  }
  const FrameConverter converter =
      a_converter("gray", a_color(ColorRange::kLimited, ColorMatrix::kBt709), 2, 1);
  EXPECT_EQ(rgb_of(converter, {std::byte{0}, std::byte{255}}),
            (std::vector<float>{0, 0, 0, 1, 1, 1}));
}

TEST(FrameConverterTest, KeepsBlackerThanBlackWhenAsked) {
  const FrameConverter converter = a_converter(
      "yuv444p", a_color(ColorRange::kLimited, ColorMatrix::kBt709), 1, 1, OutOfGamut::kKeep);
  for (int luma = 0; luma < 256; luma += 5) {
    const std::vector<std::byte> planes{static_cast<std::byte>(luma), std::byte{20},
                                        std::byte{230}};
    EXPECT_EQ(planes_of(converter, rgb_of(converter, planes)), planes);
  }
}

TEST(FrameConverterTest, ReadsPlanarRgbInFfmpegsOrder) {
  const FrameConverter planar =
      a_converter("gbrp", a_color(ColorRange::kFull, ColorMatrix::kRgb), 1, 1);
  constexpr std::byte kNone{0};
  constexpr std::byte kAll{255};
  EXPECT_EQ(rgb_of(planar, {kAll, kNone, kNone}), (std::vector<float>{0.0F, 1.0F, 0.0F}));
  EXPECT_EQ(rgb_of(planar, {kNone, kAll, kNone}), (std::vector<float>{0.0F, 0.0F, 1.0F}));
  EXPECT_EQ(planes_of(planar, {1.0F, 0.0F, 0.0F}), (std::vector{kNone, kNone, kAll}));
}

TEST(FrameConverterTest, RefusesWhatWasNotResolvedOrHasNoSize) {
  EXPECT_FALSE(FrameConverter::create(a_format("yuv420p"), ColorDescription{}, 4, 4));
  const auto color = a_color(ColorRange::kLimited, ColorMatrix::kBt2020Cl);
  EXPECT_EQ(exit_code(FrameConverter::create(a_format("yuv420p"), color, 4, 4).error()), 65);
  EXPECT_TRUE(FrameConverter::create(a_format("gray"), color, 4, 4));
  EXPECT_EQ(exit_code(FrameConverter::create(a_format("gray"), color, 0, 4).error()), 65);
}

// Made once on this code: another machine, compiler or instruction set that changes a bit shows
// here.
TEST(FrameConverterTest, MakesTheSameBitsEverywhere) {
  std::string hashes;
  for (const char* format : {"yuv420p", "yuv422p10le", "yuv444p", "gbrp10le", "rgb24"}) {
    const FrameConverter converter = a_converter(
        format, a_color(ColorRange::kLimited, ColorMatrix::kBt709, ChromaSiting::kCenter), 37, 21);
    std::vector<int> codes;
    const auto samples =
        converter.frame_bytes() / static_cast<std::size_t>(converter.format().bytes_per_sample());
    for (std::size_t i = 0; i < samples; ++i) {
      codes.push_back(static_cast<int>((i * i * 31 + i * 7) %
                                       static_cast<std::size_t>(converter.format().max_value())));
    }
    const auto rgb = rgb_of(converter, bytes_of(converter.format(), codes));
    hashes += to_string(hash_frame(std::as_bytes(std::span(rgb)))).substr(0, 16);
    hashes += to_string(hash_frame(planes_of(converter, rgb))).substr(0, 16);
  }
  EXPECT_EQ(hashes,
            "d0d3ebe412c96a8e527359f851617cc95aa9e746e695777347c2968ea24329e4"
            "d8937889b8254aa760cd5431827a2779fd9ac505d87a9a812a3152247624265b"
            "48d8ac842bcaa9d3ade7b1c710e2d74d");
}

RC_GTEST_PROP(FrameConverterPropertyTest, CuttingAFrameIntoRowsChangesNoBit, ()) {
  const std::string format =
      *rc::gen::elementOf(std::vector<std::string>(std::begin(kFormats), std::end(kFormats)));
  const ChromaSiting siting =
      *rc::gen::elementOf(std::vector<ChromaSiting>(std::begin(kSitings), std::end(kSitings)));
  const int width = *rc::gen::inRange(1, 40);
  const int height = *rc::gen::inRange(1, 40);
  const FrameConverter converter = a_converter(
      format, a_color(ColorRange::kLimited, ColorMatrix::kBt709, siting), width, height);
  const auto image = an_image(width, height, [](int x, int y, int channel) {
    return ((x * 37 + y * 91 + channel * 53) % 101) / 100.0;
  });
  const auto planes = planes_of(converter, image);
  const auto rgb = rgb_of(converter, planes);
  std::vector<std::byte> cut_planes(planes.size());
  std::vector<float> cut_rgb(rgb.size());
  const auto row_floats = 3 * static_cast<std::size_t>(width);
  for (int first = 0; first < height;) {
    const int last = std::min(height, first + *rc::gen::inRange(1, 20));
    converter.from_rgb({image.data(), row_floats}, cut_planes, {first, last});
    converter.to_rgb(planes, {cut_rgb.data(), row_floats}, {first, last});
    first = last;
  }
  RC_ASSERT(cut_planes == planes);
  RC_ASSERT(std::memcmp(cut_rgb.data(), rgb.data(), rgb.size() * sizeof(float)) == 0);
}

RC_GTEST_PROP(FrameConverterPropertyTest, AnyBytesBecomeColoursBetweenZeroAndOne, ()) {
  const std::string format =
      *rc::gen::elementOf(std::vector<std::string>(std::begin(kFormats), std::end(kFormats)));
  const FrameConverter converter =
      a_converter(format,
                  a_color(*rc::gen::elementOf(std::vector{ColorRange::kLimited, ColorRange::kFull}),
                          ColorMatrix::kBt709),
                  *rc::gen::inRange(1, 20), *rc::gen::inRange(1, 20));
  auto planes = *rc::gen::container<std::vector<std::uint8_t>>(converter.frame_bytes(),
                                                               rc::gen::arbitrary<std::uint8_t>());
  std::vector<std::byte> bytes(planes.size());
  std::memcpy(bytes.data(), planes.data(), planes.size());
  for (const float value : rgb_of(converter, bytes)) RC_ASSERT(value >= 0.0F && value <= 1.0F);
}

TEST(FrameHashTest, IsXxh3Of128Bits) {
  EXPECT_EQ(to_string(hash_frame({})), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace kiln::lane
