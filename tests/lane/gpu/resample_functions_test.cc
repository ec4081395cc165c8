// The resampling kernels' source on the host, against LanczosResampler.
#include <gtest/gtest.h>

#include "lane/gpu/kernels/resample_functions.h"
#include "lane/gpu/resample_kernels.h"
#include "lane/media/color/lanczos.h"
#include "tests/lane/gpu/frame_cases.h"
#include "tests/lane/gpu/host_kernels.h"

namespace kiln::lane {
namespace {

std::vector<float> by_reference(const ResampleSetup& setup, std::vector<float> input) {
  const auto resampler =
      LanczosResampler::create(setup.input_width, setup.input_height, setup.output_width, setup.output_height).value();
  std::vector<float> output(3 * static_cast<std::size_t>(setup.output_width) * static_cast<std::size_t>(setup.output_height));
  resampler.resample({input.data(), 3 * static_cast<std::size_t>(setup.input_width)},
                     {output.data(), 3 * static_cast<std::size_t>(setup.output_width)});
  return output;
}

// In bands of so many rows; the last one may be short.
template <typename Rgb>
std::vector<std::byte> by_kernels(const ResampleSetup& setup, const std::vector<std::byte>& input, int band_rows) {
  const auto tables = resample_tables(setup).value();
  auto p = tables.placed(tables.bytes.data());
  p.band_rows = band_rows;
  std::vector<float> blended(3 * static_cast<std::size_t>(setup.input_width) * static_cast<std::size_t>(band_rows));
  std::vector<std::byte> output(3 * static_cast<std::size_t>(setup.output_width) *
                                static_cast<std::size_t>(setup.output_height) * bytes_of(setup.rgb_type));
  for (; p.band_first < setup.output_height; p.band_first += band_rows) {
    for (int y = 0; y <= band_rows; ++y) {
      for (int i = 0; i <= 3 * setup.input_width; ++i) kernels::resample_down<Rgb>(p, input.data(), blended.data(), i, y);
    }
    for (int y = 0; y <= band_rows; ++y) {
      for (int x = 0; x <= setup.output_width; ++x) kernels::resample_across<Rgb>(p, blended.data(), output.data(), x, y);
    }
  }
  return output;
}

const std::vector<ResampleSetup> kSetups = {{128, 96, 64, 48},  {100, 75, 75, 50}, {67, 35, 23, 35}, {67, 35, 67, 11},
                                            {5, 3, 2, 2},       {1, 1, 1, 1},      {40, 30, 50, 60}, {3, 2, 1, 1}};

TEST(ResampleFunctionsTest, ResamplingHasTheReferencesBits) {
  for (const ResampleSetup& setup : kSetups) {
    const auto input = noisy_rgb(setup.input_width, setup.input_height);
    for (const int band_rows : {1, 7, setup.output_height}) {
      const auto got = by_kernels<kernels::RgbFloat32>(setup, stored<kernels::RgbFloat32>(input, 4), band_rows);
      EXPECT_EQ(loaded<kernels::RgbFloat32>(got, 4), by_reference(setup, input))
          << setup.input_width << 'x' << setup.input_height << " to " << setup.output_width << 'x' << setup.output_height << " in bands of "
          << band_rows;
    }
  }
}

TEST(ResampleFunctionsTest, InputMayLieInPlanes) {
  const ResampleSetup setup{100, 75, 75, 50};
  const auto pixels = noisy_rgb(100, 75);
  std::vector<float> planes(pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) planes[i % 3 * 7500 + i / 3] = pixels[i];
  const auto tables = resample_tables(setup).value();
  auto p = tables.placed(tables.bytes.data());
  p.input = {100, 1, 7500};
  std::vector<float> blended(std::size_t{3} * 100 * 50);
  std::vector<float> output(std::size_t{3} * 75 * 50);
  for (int y = 0; y < 50; ++y) {
    for (int i = 0; i < 300; ++i) kernels::resample_down<kernels::RgbFloat32>(p, planes.data(), blended.data(), i, y);
    for (int x = 0; x < 75; ++x) kernels::resample_across<kernels::RgbFloat32>(p, blended.data(), output.data(), x, y);
  }
  EXPECT_EQ(output, by_reference(setup, pixels));
}

TEST(ResampleFunctionsTest, NarrowRgbIsResampledInFloatAndRoundedOnce) {
  for (ResampleSetup setup : kSetups) {
    setup.rgb_type = RgbType::kFloat16;
    const auto input = stored<HostFloat16>(noisy_rgb(setup.input_width, setup.input_height), 2);
    const auto expected = stored<HostFloat16>(by_reference(setup, loaded<HostFloat16>(input, 2)), 2);
    EXPECT_EQ(by_kernels<HostFloat16>(setup, input, 16), expected);
  }
}

TEST(ResampleFunctionsTest, SizesThatTheReferenceRefusesAreRefused) {
  EXPECT_FALSE(resample_tables({0, 1, 1, 1}));
  EXPECT_FALSE(resample_tables({1, 1, 1, 70'000}));
}

}  // namespace
}  // namespace kiln::lane
