// The source of the kernels, compiled by the host's compiler and run over whole frames, against FrameConverter.
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "tests/lane/gpu/frame_cases.h"
#include "tests/lane/gpu/host_kernels.h"

namespace kiln::lane {
namespace {

// A tile's worth and more, one tile exactly, odd sides, less than the taps reach.
const std::vector<std::pair<int, int>> kSizes = {{58, 32}, {64, 32}, {67, 35}, {131, 5}, {5, 71}, {1, 1}, {2, 3}, {3, 2}};

// Calls check(RgbFloat32{}, bytes of a value, its type) and so on for the three types.
template <typename Check>
void for_each_type(const Check& check) {
  check(kernels::RgbFloat32{}, RgbType::kFloat32);
  check(HostFloat16{}, RgbType::kFloat16);
  check(kernels::RgbBfloat16{}, RgbType::kBfloat16);
}

template <typename Rgb>
std::vector<std::byte> rgb_by_kernels(const FrameKernelsSetup& setup, const std::vector<std::byte>& planes) {
  const auto p = frame_parameters(setup).value();
  const auto pixels = static_cast<std::size_t>(setup.width) * static_cast<std::size_t>(setup.height);
  std::vector<std::byte> rgb(3 * pixels * bytes_of(setup.rgb_type));
  if (setup.format.bytes_per_sample() == 1) {
    to_rgb_on_host<std::uint8_t, Rgb>(p, planes.data(), rgb.data());
  } else {
    to_rgb_on_host<std::uint16_t, Rgb>(p, planes.data(), rgb.data());
  }
  return rgb;
}

template <typename Rgb>
std::vector<std::byte> planes_by_kernels(const FrameKernelsSetup& setup, const std::vector<std::byte>& rgb) {
  const auto p = frame_parameters(setup).value();
  std::vector<std::byte> planes(setup.format.frame_bytes(setup.width, setup.height));
  if (setup.format.bytes_per_sample() == 1) {
    from_rgb_on_host<std::uint8_t, Rgb>(p, rgb.data(), planes.data());
  } else {
    from_rgb_on_host<std::uint16_t, Rgb>(p, rgb.data(), planes.data());
  }
  return planes;
}

TEST(FrameFunctionsTest, PlanesToRgbHasTheReferencesBitsForEveryFormat) {
  for (auto [setup, name] : frame_cases(kSizes)) {
    const auto planes = noisy_planes(setup.format, setup.width, setup.height);
    const auto expected = rgb_of(converter_of(setup), planes);
    EXPECT_EQ(loaded<kernels::RgbFloat32>(rgb_by_kernels<kernels::RgbFloat32>(setup, planes), 4), expected) << name;
  }
}

TEST(FrameFunctionsTest, NarrowRgbIsTheReferenceRoundedToTheNearest) {
  for (const FrameCase& one : frame_cases({{67, 35}})) {
    FrameKernelsSetup setup = one.setup;
    if (setup.color.matrix != ColorMatrix::kBt709) continue;
    const auto planes = noisy_planes(setup.format, setup.width, setup.height);
    const auto reference = rgb_of(converter_of(setup), planes);
    for_each_type([&](auto rgb_type, RgbType type) {
      using Rgb = decltype(rgb_type);
      setup.rgb_type = type;
      EXPECT_EQ(rgb_by_kernels<Rgb>(setup, planes), stored<Rgb>(reference, bytes_of(type))) << one.name;
    });
  }
}

TEST(FrameFunctionsTest, RgbToPlanesHasTheReferencesCodesForEveryFormatAndType) {
  for (const FrameCase& one : frame_cases(kSizes)) {
    FrameKernelsSetup setup = one.setup;
    const auto noise = noisy_rgb(setup.width, setup.height);
    for_each_type([&](auto rgb_type, RgbType type) {
      using Rgb = decltype(rgb_type);
      if (type != RgbType::kFloat32 && setup.color.matrix != ColorMatrix::kBt709) return;
      setup.rgb_type = type;
      const auto rgb = stored<Rgb>(noise, bytes_of(type));
      const auto expected = planes_of(converter_of(setup), loaded<Rgb>(rgb, bytes_of(type)));
      EXPECT_EQ(planes_by_kernels<Rgb>(setup, rgb), expected) << one.name;
    });
  }
}

TEST(FrameFunctionsTest, ColoursOutsideTheGamutAreKeptWhereTheReferenceKeepsThem) {
  for (auto [setup, name] : frame_cases({{67, 35}})) {
    if (setup.color.matrix != ColorMatrix::kBt709) continue;
    setup.out_of_gamut = OutOfGamut::kKeep;
    const auto planes = noisy_planes(setup.format, setup.width, setup.height);
    const auto rgb = rgb_by_kernels<kernels::RgbFloat32>(setup, planes);
    const auto expected = rgb_of(converter_of(setup), planes);
    EXPECT_EQ(loaded<kernels::RgbFloat32>(rgb, 4), expected) << name;
    EXPECT_EQ(planes_by_kernels<kernels::RgbFloat32>(setup, rgb), planes_of(converter_of(setup), expected)) << name;
  }
}

// Networks give what they like: contiguous pixels, planes, or a part of something larger.
TEST(FrameFunctionsTest, RgbMayLieInPlanesOrInALargerImage) {
  constexpr int kWidth = 67;
  constexpr int kHeight = 35;
  const RgbStrides places[] = {{kWidth, 1, kWidth * kHeight}, {kWidth + 5, 1, (kWidth + 5) * (kHeight + 2)}, {3 * kWidth + 9, 3, 1}};
  for (const char* name : {"yuv420p", "yuv422p10le", "yuv444p", "gray", "rgb24", "gbrp12le"}) {
    FrameKernelsSetup setup;
    setup.format = a_format(name);
    setup.color = a_color(ColorRange::kLimited, ColorMatrix::kBt709);
    setup.width = kWidth;
    setup.height = kHeight;
    const auto planes = noisy_planes(setup.format, kWidth, kHeight);
    const auto reference = rgb_of(converter_of(setup), planes);
    for (const RgbStrides& strides : places) {
      auto p = frame_parameters(setup).value();
      p.rgb = strides;
      std::vector<float> image(static_cast<std::size_t>(3 * (kWidth + 5) * (kHeight + 2)));
      std::vector<std::byte> again(planes.size());
      const bool narrow = setup.format.bytes_per_sample() == 1;
      narrow ? to_rgb_on_host<std::uint8_t, kernels::RgbFloat32>(p, planes.data(), image.data())
             : to_rgb_on_host<std::uint16_t, kernels::RgbFloat32>(p, planes.data(), image.data());
      narrow ? from_rgb_on_host<std::uint8_t, kernels::RgbFloat32>(p, image.data(), again.data())
             : from_rgb_on_host<std::uint16_t, kernels::RgbFloat32>(p, image.data(), again.data());
      EXPECT_EQ(again, planes_of(converter_of(setup), reference)) << name;
      for (int i = 0; i < kWidth * kHeight * 3; ++i) {
        const int x = i / 3 % kWidth;
        const int y = i / 3 / kWidth;
        const auto at = static_cast<std::size_t>(y * strides.row + x * strides.column + i % 3 * strides.channel);
        ASSERT_EQ(image[at], reference[static_cast<std::size_t>(i)]) << name << ' ' << x << ' ' << y;
      }
    }
  }
}

TEST(FrameFunctionsTest, WhatIsNoNumberBecomesBlack) {
  FrameKernelsSetup setup = frame_cases({{4, 4}}).front().setup;
  const std::vector<float> none(48, std::numeric_limits<float>::quiet_NaN());
  for_each_type([&](auto rgb_type, RgbType type) {
    using Rgb = decltype(rgb_type);
    setup.rgb_type = type;
    const auto planes = planes_by_kernels<Rgb>(setup, stored<Rgb>(none, bytes_of(type)));
    EXPECT_EQ(planes, planes_of(converter_of(setup), std::vector<float>(48, 0.0F)));
  });
}

// What the tests take for half floats is what everybody does.
TEST(FrameFunctionsTest, HalfFloatsOfTheTestsAreThoseOfTheStandard) {
  EXPECT_EQ(half_bits(1.0F), 0x3c00);
  EXPECT_EQ(half_bits(-2.0F), 0xc000);
  EXPECT_EQ(half_bits(0.1F), 0x2e66);
  EXPECT_EQ(half_bits(65504.0F), 0x7bff);
  EXPECT_EQ(half_bits(65520.0F), 0x7c00);  // a tie, to infinity
  EXPECT_EQ(half_bits(1e30F), 0x7c00);
  EXPECT_EQ(half_bits(0x1p-24F), 0x0001);
  EXPECT_EQ(half_bits(0x1p-25F), 0x0000);  // a tie, to zero
  EXPECT_EQ(half_bits(1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(half_bits(1.0F + 0x3p-11F), 0x3c02);
  for (unsigned bits = 0; bits < 0x7c00; ++bits) {
    EXPECT_EQ(half_bits(half_value(static_cast<std::uint16_t>(bits))), bits);
  }
}

TEST(FrameFunctionsTest, Bfloat16RoundsTiesToEven) {
  const auto round = [](float value) { return loaded<kernels::RgbBfloat16>(stored<kernels::RgbBfloat16>({value}, 2), 2)[0]; };
  EXPECT_EQ(round(1.0F), 1.0F);
  EXPECT_EQ(round(1.0F + 0x1p-8F), 1.0F);               // a tie; 1 is even
  EXPECT_EQ(round(1.0F + 0x3p-8F), 1.0F + 0x1p-6F);     // a tie; the other neighbour is odd
  EXPECT_EQ(round(1.0F + 0x1.01p-8F), 1.0F + 0x1p-7F);  // above a tie
}

// ---- dither ----

TEST(FrameFunctionsTest, DitherPatternHasEachOfItsStepsOnce) {
  std::set<float> seen;
  double sum = 0.0;
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      const float offset = kernels::ordered_dither(x, y);
      EXPECT_LT(std::abs(offset), 0.5F);
      EXPECT_EQ(offset, kernels::ordered_dither(x + 8, y + 16));
      seen.insert(offset);
      sum += double{offset};
    }
  }
  EXPECT_EQ(seen.size(), 64U);
  EXPECT_EQ(sum, 0.0);
}

TEST(FrameFunctionsTest, DitheredPlanesAreWithinOneCodeValueForEveryFormat) {
  for (auto [setup, name] : frame_cases({{67, 35}})) {
    if (setup.color.matrix != ColorMatrix::kBt709) continue;
    const auto rgb = noisy_rgb(setup.width, setup.height);
    const auto plain = codes_of(setup.format, planes_of(converter_of(setup), rgb));
    setup.ordered_dither = true;
    const auto dithered = planes_by_kernels<kernels::RgbFloat32>(setup, stored<kernels::RgbFloat32>(rgb, 4));
    EXPECT_EQ(largest_difference(codes_of(setup.format, dithered), plain), 1) << name;
  }
}

// What dither is for: the mean over the pattern is the value, not its rounded neighbour.
TEST(FrameFunctionsTest, DitherKeepsTheMeanOfAFlatColour) {
  FrameKernelsSetup setup;
  setup.format = a_format("gray");
  setup.color = a_color(ColorRange::kFull, ColorMatrix::kBt709);
  setup.width = setup.height = 64;
  setup.ordered_dither = true;
  for (const double value : {100.125, 100.25, 100.5, 100.8125}) {
    const auto flat = an_image(64, 64, [value](int, int, int) { return value / 255.0; });
    const auto codes =
        codes_of(setup.format, planes_by_kernels<kernels::RgbFloat32>(setup, stored<kernels::RgbFloat32>(flat, 4)));
    double sum = 0.0;
    for (const int code : codes) sum += code;
    EXPECT_NEAR(sum / 4096.0, value, 1.0 / 64.0);
  }
}

}  // namespace
}  // namespace kiln::lane
