#include "lane/media/color/color_matrix.h"

#include <gtest/gtest.h>

#include "tests/lane/color/color_frames.h"

namespace kiln::lane {
namespace {

struct Bar {
  const char* name;
  float red, green, blue;
  int luma, cb, cr;
};

void expect_bars(const std::string& format, ColorRange range, ColorMatrix matrix,
                 const std::vector<Bar>& bars) {
  const FrameConverter converter = a_converter(format, a_color(range, matrix), 1, 1);
  for (const Bar& bar : bars) {
    const auto codes =
        codes_of(a_format(format), planes_of(converter, {bar.red, bar.green, bar.blue}));
    EXPECT_EQ(codes, (std::vector<int>{bar.luma, bar.cb, bar.cr})) << bar.name;
    const auto rgb = rgb_of(converter, bytes_of(a_format(format), codes));
    const float tolerance = format == "yuv444p" ? 0.006F : 0.0015F;
    EXPECT_NEAR(rgb[0], bar.red, tolerance) << bar.name;
    EXPECT_NEAR(rgb[1], bar.green, tolerance) << bar.name;
    EXPECT_NEAR(rgb[2], bar.blue, tolerance) << bar.name;
  }
}

// 100/0/100/0 colour bars as the recommendations give them.
TEST(ColorMatrixTest, MakesTheColourBarsOfBt709) {
  expect_bars("yuv444p", ColorRange::kLimited, ColorMatrix::kBt709,
              {{"white", 1, 1, 1, 235, 128, 128},
               {"yellow", 1, 1, 0, 219, 16, 138},
               {"cyan", 0, 1, 1, 188, 154, 16},
               {"green", 0, 1, 0, 173, 42, 26},
               {"magenta", 1, 0, 1, 78, 214, 230},
               {"red", 1, 0, 0, 63, 102, 240},
               {"blue", 0, 0, 1, 32, 240, 118},
               {"black", 0, 0, 0, 16, 128, 128}});
}

TEST(ColorMatrixTest, MakesTheColourBarsOfBt601) {
  for (const ColorMatrix matrix : {ColorMatrix::kSmpte170m, ColorMatrix::kBt470bg}) {
    expect_bars("yuv444p", ColorRange::kLimited, matrix,
                {{"yellow", 1, 1, 0, 210, 16, 146},
                 {"cyan", 0, 1, 1, 170, 166, 16},
                 {"green", 0, 1, 0, 145, 54, 34},
                 {"magenta", 1, 0, 1, 106, 202, 222},
                 {"red", 1, 0, 0, 81, 90, 240},
                 {"blue", 0, 0, 1, 41, 240, 110}});
  }
}

TEST(ColorMatrixTest, MakesTheColourBarsOfBt2020AtTenBits) {
  expect_bars("yuv444p10le", ColorRange::kLimited, ColorMatrix::kBt2020Ncl,
              {{"white", 1, 1, 1, 940, 512, 512},
               {"yellow", 1, 1, 0, 888, 64, 548},
               {"red", 1, 0, 0, 294, 387, 960},
               {"green", 0, 1, 0, 658, 189, 100},
               {"blue", 0, 0, 1, 116, 960, 476}});
}

TEST(ColorMatrixTest, MakesFullRangeAsJpegHasIt) {
  expect_bars("yuv444p", ColorRange::kFull, ColorMatrix::kBt470bg,
              {{"white", 1, 1, 1, 255, 128, 128},
               {"red", 1, 0, 0, 76, 85, 255},
               {"green", 0, 1, 0, 150, 44, 21},
               {"blue", 0, 0, 1, 29, 255, 107}});
}

TEST(ColorMatrixTest, EachMatrixUndoesItself) {
  for (const ColorMatrix matrix :
       {ColorMatrix::kBt709, ColorMatrix::kFcc, ColorMatrix::kBt470bg, ColorMatrix::kSmpte170m,
        ColorMatrix::kSmpte240m, ColorMatrix::kBt2020Ncl, ColorMatrix::kYcgco}) {
    const SignalMatrix m = *signal_matrix(matrix);
    for (std::size_t out = 0; out < 3; ++out) {
      for (std::size_t in = 0; in < 3; ++in) {
        const float product = m.from_rgb[0][in] + m.to_rgb[out][0] * m.from_rgb[1][in] +
                              m.to_rgb[out][1] * m.from_rgb[2][in];
        EXPECT_NEAR(product, out == in ? 1.0F : 0.0F, 1e-6F) << to_ffmpeg(matrix) << out << in;
      }
    }
  }
}

TEST(ColorMatrixTest, RefusesConstantLuminanceNamingWhatWorks) {
  for (const ColorMatrix matrix :
       {ColorMatrix::kBt2020Cl, ColorMatrix::kIctcp, ColorMatrix::kSmpte2085,
        ColorMatrix::kChromaDerivedNcl, ColorMatrix::kRgb}) {
    const auto refused = signal_matrix(matrix);
    ASSERT_FALSE(refused) << to_ffmpeg(matrix);
    EXPECT_EQ(exit_code(refused.error()), 65);
    EXPECT_NE(refused.error().message.find("BT.709"), std::string::npos);
  }
}

}  // namespace
}  // namespace kiln::lane
