// Frames on a card against the same frames in host memory: whole and in tiles, one frame and three, with and without a
// smaller output. Skipped, with the reason, where there is no card.
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <random>

#include "lane/gpu/card.h"
#include "lane/media/clip_info.h"
#include "lane/pipelines/device_frame_path.h"
#include "lane/pipelines/host_frame_path.h"
#include "sharding/package/package_tiling.h"
#include "tests/lane/engine/fixture.h"

namespace kiln::lane {
namespace {

constexpr sharding::RingSizes kRings{1, 2, 0};
constexpr int kFrames = 24;  // some times around each ring

struct DeviceCase {
  const char* name;
  const char* network;
  const char* dtype;
  int height;
  int width;
  int tile_height;
  int tile_width;
  double output_scale;  // of the network's result
  PixelLayout layout;
  int largest_difference;  // in code values
};

void PrintTo(const DeviceCase& one, std::ostream* out) { *out << one.name; }

std::vector<std::byte> noise(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> out(bytes);
  for (std::byte& value : out) value = static_cast<std::byte>(16 + random() % 220);
  return out;
}

int largest_difference(std::span<const std::byte> a, std::span<const std::byte> b) {
  int largest = a.size() == b.size() ? 0 : 256;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(std::to_integer<int>(a[i]) - std::to_integer<int>(b[i])));
  }
  return largest;
}

// In a thread that never used the card, as the stages of a pipeline are at first.
template <typename Call>
auto elsewhere(Call call) {
  return std::async(std::launch::async, std::move(call)).get();
}

SegmentSpec spec_of(const DeviceCase& one, const sharding::PackageManifest& manifest) {
  SegmentSpec spec;
  ClipInfo clip;
  clip.width = one.width;
  clip.height = one.height;
  clip.format = PixelFormat{one.layout, 8};
  spec.clip = std::make_shared<const ClipInfo>(clip);
  spec.tile = {manifest.frames(), one.tile_height, one.tile_width};
  spec.windows = sharding::tile_windows(one.height, one.width, {one.tile_height, one.tile_width},
                                        sharding::tiling_rules(manifest));
  spec.model_scale = static_cast<int>(manifest.scale);
  const double scale = static_cast<double>(manifest.scale) * one.output_scale;
  spec.settings.request.width = static_cast<int>(one.width * scale);
  spec.settings.request.height = static_cast<int>(one.height * scale);
  spec.settings.request.format = clip.format;
  return spec;
}

class DeviceFramesTest : public testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override {
    fixture_ = load_fixture(GetParam().network, GetParam().dtype);
    const auto dtype = sharding::graph_dtype_from_string(GetParam().dtype);
    ASSERT_TRUE(dtype);
    NetworkSource source = fixture_.source(1, *dtype);
    source.device = "cuda:0";
    auto network = Network::load(source);
    if (!network && network.error().code == ErrorCode::kUnavailable) GTEST_SKIP() << network.error().message;
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
    at::globalContext().setAllowTF32CuDNN(false);
    KernelSupply supply;  // with nobody to ask
    auto kernels = elsewhere([&supply] { return load_kernels_on("cuda:0", supply); });
    ASSERT_TRUE(kernels) << kernels.error().message;
    kernels_ = *kernels;
  }

  // The planes of each output frame, through `path`; outputs are let go one behind, so that rings are used.
  std::vector<std::vector<std::byte>> render(FramePath& path, const SegmentSpec& spec) {
    StageTimes times;
    const std::size_t bytes = spec.clip->format.frame_bytes(spec.clip->width, spec.clip->height);
    const auto looks_at = static_cast<std::size_t>(spec.tile.frames);
    std::vector<FramePath::SourcePtr> window;
    FramePath::OutputPtr pending;
    std::vector<std::vector<std::byte>> out;
    const auto keep = [&] {
      if (pending == nullptr) return;
      const auto planes = elsewhere([&] { return path.planes_of(times, *pending); });
      ASSERT_TRUE(planes) << planes.error().message;
      out.emplace_back(planes->begin(), planes->end());
    };
    for (int i = 0; i < kFrames; ++i) {
      auto source = elsewhere([&] { return path.take_in(noise(bytes, static_cast<unsigned>(i))); });
      EXPECT_TRUE(source) << source.error().message;
      if (!source) return out;
      window.push_back(std::move(*source));
      if (window.size() < looks_at) continue;
      auto rendered = elsewhere([&] { return path.render(times, Executor::kUncompiled, window); });
      EXPECT_TRUE(rendered) << rendered.error().message;
      if (!rendered) return out;
      keep();
      pending = std::move(*rendered);
      window.erase(window.begin());
    }
    keep();
    EXPECT_GT(times.model_s + times.card_s, 0.0);
    return out;
  }

  Fixture fixture_;
  std::unique_ptr<Network> network_;
  std::shared_ptr<const KernelModule> kernels_;
};

TEST_P(DeviceFramesTest, EqualsTheSameInHostMemory) {
  const SegmentSpec spec = spec_of(GetParam(), fixture_.manifest);
  DevicePaths paths(*network_, kernels_, kRings);
  const auto device = elsewhere([&] { return paths.make(spec); });
  ASSERT_TRUE(device) << device.error().message;
  const auto host = make_host_frame_path(*network_, spec);
  ASSERT_TRUE(host) << host.error().message;
  const auto there = render(**device, spec);
  const auto here = render(**host, spec);
  ASSERT_EQ(there.size(), here.size());
  ASSERT_EQ(there.size(), static_cast<std::size_t>(kFrames - fixture_.manifest.frames() + 1));
  int largest = 0;
  for (std::size_t i = 0; i < there.size(); ++i) largest = std::max(largest, largest_difference(there[i], here[i]));
  fmt::print(stderr, "{{\"what\": \"{}\", \"largest_difference\": {}}}\n", GetParam().name, largest);
  EXPECT_LE(largest, GetParam().largest_difference);
  EXPECT_NE(there[0], there[1]);

  // A second run of such a clip takes the same buffers, and gives the same bits.
  const auto again = paths.make(spec);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(render(**again, spec), there);
}

// The host's path scales in float32 what the card keeps in the network's dtype.
constexpr PixelLayout k420 = PixelLayout::kYuv420;
INSTANTIATE_TEST_SUITE_P(
    Cases, DeviceFramesTest,
    testing::Values(DeviceCase{"whole", "compact", "float32", 48, 64, 48, 64, 1.0, k420, 1},
                    DeviceCase{"whole_444", "compact", "float32", 48, 64, 48, 64, 1.0, PixelLayout::kYuv444, 1},
                    DeviceCase{"tiled", "compact", "float32", 90, 122, 64, 64, 1.0, k420, 1},
                    DeviceCase{"padded", "compact", "float32", 37, 51, 64, 64, 1.0, k420, 1},
                    DeviceCase{"smaller", "compact", "float32", 48, 64, 48, 64, 0.5, k420, 1},
                    DeviceCase{"three_frames", "three_frames", "float32", 48, 64, 48, 64, 1.0, k420, 1},
                    DeviceCase{"three_frames_tiled", "three_frames", "float32", 90, 122, 64, 64, 1.0, k420, 1},
                    DeviceCase{"half", "compact", "float16", 90, 122, 64, 64, 1.0, k420, 1},
                    DeviceCase{"half_smaller", "compact", "float16", 48, 64, 48, 64, 0.5, k420, 1},
                    DeviceCase{"brain_half", "compact", "bfloat16", 48, 64, 48, 64, 1.0, k420, 1}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace kiln::lane
