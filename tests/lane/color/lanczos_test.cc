#include "lane/media/color/lanczos.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <numbers>
#include <numeric>

#include "tests/lane/color/color_frames.h"

namespace kiln::lane {
namespace {

std::vector<float> resampled(const std::vector<float>& image, int width, int height, int to_width,
                             int to_height) {
  const auto resampler = LanczosResampler::create(width, height, to_width, to_height);
  KILN_CHECK(resampler.has_value(), "{}", resampler.error().message);
  std::vector<float> output(3 * static_cast<std::size_t>(to_width) *
                            static_cast<std::size_t>(to_height));
  resampler->resample({image.data(), 3 * static_cast<std::size_t>(width)},
                      {output.data(), 3 * static_cast<std::size_t>(to_width)});
  return output;
}

TEST(LanczosTest, KeepsFlatImagesFlat) {
  for (const auto& [width, height] :
       {std::pair(5, 4), std::pair(19, 33), std::pair(1, 1), std::pair(40, 64)}) {
    const auto output =
        resampled(an_image(40, 64, [](int, int, int channel) { return 0.25 * (channel + 1); }), 40,
                  64, width, height);
    for (std::size_t i = 0; i < output.size(); ++i) {
      EXPECT_NEAR(output[i], 0.25F * static_cast<float>(i % 3 + 1), 1e-6F);
    }
  }
}

TEST(LanczosTest, KeepsAStraightLineInItsPlace) {
  const auto ramp = an_image(128, 8, [](int x, int, int) { return x / 128.0; });
  for (const int width : {64, 96, 50}) {
    const auto output = resampled(ramp, 128, 8, width, 8);
    for (int x = 10; x < width - 10; ++x) {
      const double centre = (x + 0.5) * 128.0 / width - 0.5;
      EXPECT_NEAR(output[3 * static_cast<std::size_t>(x)], centre / 128.0, 5e-4)
          << width << " " << x;
    }
  }
}

TEST(LanczosTest, SameSizeChangesNothing) {
  const auto image = a_smooth_image(33, 21);
  const auto output = resampled(image, 33, 21, 33, 21);
  for (std::size_t i = 0; i < image.size(); ++i) EXPECT_NEAR(output[i], image[i], 1e-6F);
}

TEST(LanczosTest, TurnsACheckerboardIntoGreyInsteadOfAMoire) {
  const auto board = an_image(96, 96, [](int x, int y, int) { return (x + y) % 2; });
  const auto output = resampled(board, 96, 96, 48, 48);
  for (int x = 8; x < 40; ++x)
    EXPECT_NEAR(output[3 * static_cast<std::size_t>(20 * 48 + x)], 0.5F, 0.002F);
}

TEST(LanczosTest, TapsSumToOneAndStayWithinTheSupport) {
  for (const auto& [input, output] :
       {std::pair(1280, 640), std::pair(1280, 853), std::pair(7, 1), std::pair(3, 5)}) {
    const ResampleTaps taps = lanczos3_taps(input, output);
    const int support = lanczos3_support(input, output);
    for (int i = 0; i < output; ++i) {
      const auto row = taps.weights.begin() + i * taps.count;
      EXPECT_NEAR(std::accumulate(row, row + taps.count, 0.0F), 1.0F, 1e-5F);
      const double centre = (i + 0.5) * input / output - 0.5;
      EXPECT_LE(centre - taps.first[static_cast<std::size_t>(i)], support);
      EXPECT_LE(taps.first[static_cast<std::size_t>(i)] + taps.count - 1 - centre, support);
    }
  }
  EXPECT_EQ(lanczos3_support(1280, 640), 6);
  EXPECT_EQ(lanczos3_support(1280, 960), 4);
  EXPECT_EQ(lanczos3_support(640, 1280), 3);
}

// The definition, pixel by pixel in double precision.
double direct(const std::vector<float>& image, int width, int height, double centre_x,
              double centre_y, double stretch_x, double stretch_y, int channel) {
  const auto kernel = [](double x) {
    if (std::abs(x) >= 3.0) return 0.0;
    if (std::abs(x) < 1e-9) return 1.0;
    const double angle = std::numbers::pi * x;
    return 3.0 * std::sin(angle) * std::sin(angle / 3.0) / (angle * angle);
  };
  double sum = 0.0;
  double weights = 0.0;
  for (int y = -30; y < height + 30; ++y) {
    for (int x = -30; x < width + 30; ++x) {
      const double weight = kernel((x - centre_x) / stretch_x) * kernel((y - centre_y) / stretch_y);
      const int row = std::clamp(y, 0, height - 1);
      const int column = std::clamp(x, 0, width - 1);
      sum += weight * double{image[static_cast<std::size_t>(3 * (row * width + column) + channel)]};
      weights += weight;
    }
  }
  return sum / weights;
}

TEST(LanczosTest, EqualsTheDefinitionAlsoAtEdges) {
  const auto image = an_image(23, 17, [](int x, int y, int channel) {
    return ((x * 37 + y * 91 + channel * 53) % 101) / 100.0;
  });
  const auto output = resampled(image, 23, 17, 11, 13);
  for (int y = 0; y < 13; ++y) {
    for (int x = 0; x < 11; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        const double wanted = direct(image, 23, 17, (x + 0.5) * 23 / 11 - 0.5,
                                     (y + 0.5) * 17 / 13 - 0.5, 23.0 / 11, 17.0 / 13, channel);
        EXPECT_NEAR(output[static_cast<std::size_t>(3 * (y * 11 + x) + channel)], wanted, 1e-5)
            << x << " " << y;
      }
    }
  }
}

TEST(LanczosTest, RefusesEmptySizes) {
  EXPECT_EQ(exit_code(LanczosResampler::create(0, 4, 2, 2).error()), 65);
  EXPECT_EQ(exit_code(LanczosResampler::create(4, 4, 2, 0).error()), 65);
}

RC_GTEST_PROP(LanczosPropertyTest, CuttingAFrameIntoRowsChangesNoBit, ()) {
  const int width = *rc::gen::inRange(1, 50);
  const int height = *rc::gen::inRange(1, 50);
  const int to_width = *rc::gen::inRange(1, 50);
  const int to_height = *rc::gen::inRange(1, 50);
  const auto image = an_image(width, height, [](int x, int y, int channel) {
    return ((x * 37 + y * 91 + channel * 53) % 101) / 100.0;
  });
  const auto whole = resampled(image, width, height, to_width, to_height);
  const auto resampler = LanczosResampler::create(width, height, to_width, to_height);
  RC_ASSERT(resampler.has_value());
  std::vector<float> cut(whole.size());
  for (int first = 0; first < to_height;) {
    const int last = std::min(to_height, first + *rc::gen::inRange(1, 20));
    resampler->resample({image.data(), 3 * static_cast<std::size_t>(width)},
                        {cut.data(), 3 * static_cast<std::size_t>(to_width)}, {first, last});
    first = last;
  }
  RC_ASSERT(cut == whole);
}

}  // namespace
}  // namespace kiln::lane
