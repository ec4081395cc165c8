#include "lane/pipelines/tile_runner.h"

#include <gtest/gtest.h>

#include <random>

namespace kiln::lane {
namespace {

constexpr int kScale = 2;
constexpr int kRadius = 2;

// A network that can be computed by hand: the mean of a square of `kRadius`, zero beyond its input as a
// convolution pads, over all frames; each pixel then stands kScale times in both directions. Which
// neighbours it saw decides every bit of the result.
class BoxNetwork : public Network {
 public:
  Status run(Executor, std::span<const float> frames, TileShape shape, std::span<float> out) override {
    ++runs;
    const int height = static_cast<int>(shape.height);
    const int width = static_cast<int>(shape.width);
    for (int y = 0; y < height * kScale; ++y) {
      for (int x = 0; x < width * kScale; ++x) {
        for (int c = 0; c < 3; ++c) {
          out[static_cast<std::size_t>((y * width * kScale + x) * 3 + c)] =
              mean(frames, shape, y / kScale, x / kScale, c);
        }
      }
    }
    return {};
  }
  Status bind_artifact(const ArtifactSpec&, int) override { return {}; }
  Status run_on_device(Executor, const at::Tensor&, TileShape, at::Tensor&) override {
    return fail(make_error(ErrorCode::kUnimplemented, "a network of tests has no device"));
  }
  [[nodiscard]] sharding::GraphDtype dtype() const override { return sharding::GraphDtype::kFloat32; }
  [[nodiscard]] const std::string& device() const override { return device_; }
  bool has_artifact(TileShape) const override { return false; }
  Result<std::vector<TensorSpec>> input_specs(TileShape) const override { return std::vector<TensorSpec>(); }
  Result<std::uint64_t> peak_activation_bytes(TileShape) const override { return 0; }
  Result<std::vector<sharding::MemoryStep>> memory_steps(Executor, TileShape) const override { return std::vector<sharding::MemoryStep>(); }
  std::uint64_t weights_bytes() const override { return 0; }
  [[nodiscard]] int threads() const override { return 1; }

  int runs = 0;

 private:
  std::string device_ = "cpu";

  static float mean(std::span<const float> frames, TileShape shape, int y, int x, int c) {
    const int height = static_cast<int>(shape.height);
    const int width = static_cast<int>(shape.width);
    float sum = 0.0F;
    for (int t = 0; t < shape.frames; ++t) {
      for (int dy = -kRadius; dy <= kRadius; ++dy) {
        for (int dx = -kRadius; dx <= kRadius; ++dx) {
          if (y + dy < 0 || y + dy >= height || x + dx < 0 || x + dx >= width) continue;
          const auto at = ((t * height + y + dy) * width + x + dx) * 3 + c;
          sum += frames[static_cast<std::size_t>(at)] * static_cast<float>(t + 1);
        }
      }
    }
    return sum;
  }
};

RgbFrame random_frame(int height, int width, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(0.0F, 1.0F);
  RgbFrame frame;
  frame.resize(height, width);
  for (float& pixel : frame.pixels) pixel = value(random);
  return frame;
}

RgbFrame run(BoxNetwork& network, const std::vector<RgbFrame>& frames, int tile_height, int tile_width,
             int multiple = 1) {
  sharding::TilingRules rules;
  rules.kind = sharding::TilingKind::kExact;
  rules.halo = kRadius;
  rules.size_multiple = multiple;
  const TileShape tile{static_cast<std::int64_t>(frames.size()), tile_height, tile_width};
  auto windows = sharding::tile_windows(frames[0].height, frames[0].width, {tile_height, tile_width}, rules);
  TileRunner runner(network, tile, std::move(windows), kScale);
  std::vector<const RgbFrame*> inputs;
  for (const RgbFrame& frame : frames) inputs.push_back(&frame);
  RgbFrame out;
  EXPECT_TRUE(runner.run(Executor::kUncompiled, inputs, out));
  return out;
}

TEST(TileRunnerTest, TilesGiveTheBitsOfTheWholeFrame) {
  const std::vector<RgbFrame> frames = {random_frame(23, 31, 1)};
  BoxNetwork network;
  const RgbFrame whole = run(network, frames, 23, 31);
  EXPECT_EQ(network.runs, 1);
  ASSERT_EQ(whole.height, 46);
  ASSERT_EQ(whole.width, 62);
  for (const auto& [height, width] : std::vector<std::pair<int, int>>{{12, 16}, {9, 31}, {23, 10}, {7, 7}}) {
    const RgbFrame tiled = run(network, frames, height, width);
    EXPECT_EQ(tiled.pixels, whole.pixels) << height << "x" << width;
  }
}

TEST(TileRunnerTest, AllNeighbouringFramesAreTiledAlike) {
  const std::vector<RgbFrame> frames = {random_frame(15, 20, 1), random_frame(15, 20, 2), random_frame(15, 20, 3)};
  BoxNetwork network;
  EXPECT_EQ(run(network, frames, 10, 12).pixels, run(network, frames, 15, 20).pixels);
}

TEST(TileRunnerTest, RowsAndColumnsBeyondTheFrameAreMirrored) {
  const RgbFrame frame = random_frame(6, 5, 1);
  RgbFrame padded;
  padded.resize(8, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      const int from_y = y < 6 ? y : 10 - y;
      const int from_x = x < 5 ? x : 8 - x;
      for (int c = 0; c < 3; ++c) {
        padded.pixels[static_cast<std::size_t>((y * 8 + x) * 3 + c)] =
            frame.pixels[static_cast<std::size_t>((from_y * 5 + from_x) * 3 + c)];
      }
    }
  }
  BoxNetwork network;
  const RgbFrame expected = run(network, {padded}, 8, 8);
  const RgbFrame got = run(network, {frame}, 8, 8, 4);
  ASSERT_EQ(got.height, 12);
  ASSERT_EQ(got.width, 10);
  for (int y = 0; y < got.height; ++y) {
    for (int i = 0; i < got.width * 3; ++i) {
      ASSERT_EQ(got.pixels[static_cast<std::size_t>(y * got.width * 3 + i)],
                expected.pixels[static_cast<std::size_t>(y * expected.width * 3 + i)])
          << y << " " << i;
    }
  }
}

}  // namespace
}  // namespace kiln::lane
