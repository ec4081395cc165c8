// Conversion and resampling of one frame on one core. The floor of each is the bytes it must touch
// over what memcpy moves on this machine (first row): planes once, float RGB once (a row stays in
// the nearest cache).
#include <benchmark/benchmark.h>

#include <cstring>
#include <vector>

#include "lane/media/color/frame_converter.h"
#include "lane/media/color/frame_hash.h"
#include "lane/media/color/lanczos.h"

namespace {

using kiln::lane::ChromaSiting;
using kiln::lane::ColorDescription;
using kiln::lane::ColorMatrix;
using kiln::lane::ColorRange;
using kiln::lane::FrameConverter;
using kiln::lane::LanczosResampler;
using kiln::lane::PixelFormat;

constexpr int kWidth = 1280;
constexpr int kHeight = 720;
constexpr const char* kFormats[] = {"yuv420p",  "yuv422p", "yuv444p", "yuv420p10le",
                                    "gbrp10le", "rgb24",   "rgb48le", "gray"};

FrameConverter converter_of(const char* format) {
  ColorDescription color;
  color.range = ColorRange::kLimited;
  color.matrix = ColorMatrix::kBt709;
  color.siting = ChromaSiting::kLeft;
  return *FrameConverter::create(*PixelFormat::from_ffmpeg_name(format), color, kWidth, kHeight);
}

std::vector<std::byte> some_planes(std::size_t bytes, int bytes_per_sample) {
  std::vector<std::byte> planes(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    const bool high_byte = bytes_per_sample == 2 && i % 2 == 1;
    planes[i] = static_cast<std::byte>(high_byte ? (i >> 7U) & 3U : (i * 7 + (i >> 9U)) & 0xffU);
  }
  return planes;
}

void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void copy_rgb(benchmark::State& state) {
  std::vector<float> from(3UL * kWidth * kHeight, 0.5F);
  std::vector<float> to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size() * sizeof(float));
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, 2 * from.size() * sizeof(float));
}

void planes_to_rgb(benchmark::State& state) {
  const char* format = kFormats[state.range(0)];
  const FrameConverter converter = converter_of(format);
  const auto planes = some_planes(converter.frame_bytes(), converter.format().bytes_per_sample());
  std::vector<float> rgb(converter.rgb_floats());
  for (auto _ : state) {
    converter.to_rgb(planes, {rgb.data(), 3UL * kWidth});
    benchmark::DoNotOptimize(rgb.data());
    benchmark::ClobberMemory();
  }
  state.SetLabel(format);
  count_bytes(state, planes.size() + rgb.size() * sizeof(float));
}

void rgb_to_planes(benchmark::State& state) {
  const char* format = kFormats[state.range(0)];
  const FrameConverter converter = converter_of(format);
  std::vector<std::byte> planes(converter.frame_bytes());
  std::vector<float> rgb(converter.rgb_floats());
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<float>(i % 4099) / 4098.0F;
  for (auto _ : state) {
    converter.from_rgb({rgb.data(), 3UL * kWidth}, planes);
    benchmark::DoNotOptimize(planes.data());
    benchmark::ClobberMemory();
  }
  state.SetLabel(format);
  count_bytes(state, planes.size() + rgb.size() * sizeof(float));
}

// 1280x720 to a half and to three quarters.
void lanczos(benchmark::State& state) {
  const int width = kWidth * static_cast<int>(state.range(0)) / 100;
  const int height = kHeight * static_cast<int>(state.range(0)) / 100;
  const LanczosResampler resampler = *LanczosResampler::create(kWidth, kHeight, width, height);
  const std::vector<float> input(3UL * kWidth * kHeight, 0.25F);
  std::vector<float> output(3UL * static_cast<unsigned>(width) * static_cast<unsigned>(height));
  for (auto _ : state) {
    resampler.resample({input.data(), 3UL * kWidth},
                       {output.data(), 3UL * static_cast<unsigned>(width)});
    benchmark::DoNotOptimize(output.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, (input.size() + output.size()) * sizeof(float));
}

void frame_hash(benchmark::State& state) {
  const auto planes = some_planes(converter_of("yuv420p").frame_bytes(), 1);
  for (auto _ : state) {
    auto hash = kiln::lane::hash_frame(planes);
    benchmark::DoNotOptimize(hash);
  }
  count_bytes(state, planes.size());
}

}  // namespace

BENCHMARK(copy_rgb)->Unit(benchmark::kMillisecond);
BENCHMARK(planes_to_rgb)->DenseRange(0, 7)->Unit(benchmark::kMillisecond);
BENCHMARK(rgb_to_planes)->DenseRange(0, 7)->Unit(benchmark::kMillisecond);
BENCHMARK(lanczos)->Arg(50)->Arg(75)->Unit(benchmark::kMillisecond);
BENCHMARK(frame_hash)->Unit(benchmark::kMillisecond);
