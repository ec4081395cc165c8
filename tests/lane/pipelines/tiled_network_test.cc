// Real networks in tiles, with the halo of their manifest: what comes out is the whole frame, and no pixel further away
// than the halo is felt.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "lane/pipelines/tile_runner.h"
#include "sharding/package/package_tiling.h"
#include "tests/lane/engine/compiled_fixture.h"

namespace kiln::lane {
namespace {

constexpr float kTolerance = 1e-5F;  // what the importer calls exact

struct Sizes {
  const char* network;
  TileShape tile;
  TileShape frame;  // three windows high, with no pixel more between them than the halo asks for
};

constexpr Sizes kSizes[] = {{"animevideov3", {1, 72, 80}, {1, 144, 107}}, {"three_frames", {3, 24, 32}, {3, 64, 53}}};

float noise(std::uint32_t x) {
  x *= 0x9e3779b9U;
  x ^= x >> 15U;
  x *= 0x85ebca6bU;
  return static_cast<float>((x ^ (x >> 13U)) & 0xffffU) / 65535.0F;
}

RgbFrame frame_of(TileShape shape, std::uint32_t seed) {
  RgbFrame frame;
  frame.resize(static_cast<int>(shape.height), static_cast<int>(shape.width));
  for (std::size_t i = 0; i < frame.pixels.size(); ++i) {
    frame.pixels[i] = noise(static_cast<std::uint32_t>(i) + (seed << 24U));
  }
  return frame;
}

struct Rect {
  int y = 0;
  int x = 0;
  int height = 0;
  int width = 0;
  [[nodiscard]] bool holds(int py, int px, int margin) const {
    return py >= y - margin && py < y + height + margin && px >= x - margin && px < x + width + margin;
  }
};

class TiledNetworkTest : public testing::TestWithParam<Sizes> {
 protected:
  void SetUp() override {
    const Sizes& sizes = GetParam();
    fixture_ = load_fixture(sizes.network);
    rules_ = sharding::tiling_rules(fixture_.manifest);
    ASSERT_EQ(rules_.kind, sharding::TilingKind::kExact);
    const auto made = compile_shapes({{kSizes[0].network, {kSizes[0].tile, kSizes[0].frame}},
                                      {kSizes[1].network, {kSizes[1].tile, kSizes[1].frame}}});
    ASSERT_TRUE(made) << made.error().message;
    use_threads(1);
    for (std::int64_t i = 0; i < sizes.tile.frames; ++i) {
      frames_.push_back(frame_of(sizes.frame, static_cast<std::uint32_t>(i + 1)));
    }
  }

  void use_threads(int threads) {
    auto network = Network::load(fixture_.source(threads));
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
    for (const TileShape shape : {GetParam().tile, GetParam().frame}) {
      const auto compiled = load_compiled(GetParam().network, *network_, shape);
      ASSERT_TRUE(compiled) << compiled.error().message;
      const auto bound = network_->bind_artifact(compiled->spec, compiled->library.get());
      ASSERT_TRUE(bound) << bound.error().message;
    }
  }
  [[nodiscard]] std::vector<sharding::TileWindow> windows(TileShape tile) const {
    return sharding::tile_windows(frames_[0].height, frames_[0].width,
                                  {static_cast<int>(tile.height), static_cast<int>(tile.width)}, rules_);
  }
  RgbFrame run(Executor executor, TileShape tile, const std::vector<RgbFrame>& frames) {
    TileRunner runner(*network_, tile, windows(tile), static_cast<int>(fixture_.manifest.scale));
    std::vector<const RgbFrame*> inputs;
    for (const RgbFrame& frame : frames) inputs.push_back(&frame);
    RgbFrame out;
    const auto status = runner.run(executor, inputs, out);
    EXPECT_TRUE(status) << status.error().message;
    return out;
  }
  // Every pixel that lies beyond the margin around `rect`, in all frames, becomes another.
  [[nodiscard]] std::vector<RgbFrame> altered_beyond(const Rect& rect, int margin) const {
    std::vector<RgbFrame> frames = frames_;
    for (RgbFrame& frame : frames) {
      for (int y = 0; y < frame.height; ++y) {
        for (int x = 0; x < frame.width; ++x) {
          if (rect.holds(y, x, margin)) continue;
          for (int c = 0; c < 3; ++c) {
            float& value = frame.pixels[static_cast<std::size_t>((y * frame.width + x) * 3 + c)];
            value = std::fmod(value + 0.5F, 1.0F);
          }
        }
      }
    }
    return frames;
  }
  // The output's pixels that stand for `rect`.
  [[nodiscard]] std::vector<float> part(const RgbFrame& out, const Rect& rect) const {
    const int scale = static_cast<int>(fixture_.manifest.scale);
    std::vector<float> values;
    for (int y = rect.y * scale; y < (rect.y + rect.height) * scale; ++y) {
      const auto row = out.pixels.begin() + (y * out.width + rect.x * scale) * 3;
      values.insert(values.end(), row, row + rect.width * scale * 3);
    }
    return values;
  }

  Fixture fixture_;
  std::unique_ptr<Network> network_;
  sharding::TilingRules rules_;
  std::vector<RgbFrame> frames_;
};

TEST_P(TiledNetworkTest, TilesGiveTheWholeFrame) {
  ASSERT_EQ(windows(GetParam().tile).size(), 6U);
  for (const Executor executor : {Executor::kUncompiled, Executor::kCompiled}) {
    const RgbFrame whole = run(executor, GetParam().frame, frames_);
    const RgbFrame tiled = run(executor, GetParam().tile, frames_);
    const float difference = largest_difference(whole.pixels, tiled.pixels);
    fmt::print(stderr, "{} {}: halo {}, {:.2e}\n", GetParam().network, to_string(executor), rules_.halo, difference);
    EXPECT_LE(difference, kTolerance) << to_string(executor);
  }
}

TEST_P(TiledNetworkTest, NoPixelBeyondTheHaloIsFelt) {
  const auto all = windows(GetParam().tile);
  for (const std::size_t index : {std::size_t{0}, all.size() - 1}) {
    const sharding::TileWindow& window = all[index];
    // The inner quarter of what is kept: inside its window there is more than the halo around it.
    const Rect rect{window.keep_y + window.keep_height / 4, window.keep_x + window.keep_width / 4,
                    window.keep_height / 2, window.keep_width / 2};
    for (const Executor executor : {Executor::kUncompiled, Executor::kCompiled}) {
      const RgbFrame before = run(executor, GetParam().tile, frames_);
      const RgbFrame beyond = run(executor, GetParam().tile, altered_beyond(rect, rules_.halo));
      EXPECT_EQ(part(before, rect), part(beyond, rect)) << to_string(executor) << ", window " << index;
      EXPECT_NE(before.pixels, beyond.pixels);
      const RgbFrame beside = run(executor, GetParam().tile, altered_beyond(rect, 0));
      EXPECT_NE(part(before, rect), part(beside, rect)) << to_string(executor) << ", window " << index;
    }
  }
}

TEST_P(TiledNetworkTest, NumberOfThreadsChangesNoBit) {
  for (const Executor executor : {Executor::kUncompiled, Executor::kCompiled}) {
    use_threads(1);
    const RgbFrame one = run(executor, GetParam().frame, frames_);
    use_threads(2);
    const RgbFrame two = run(executor, GetParam().frame, frames_);
    EXPECT_TRUE(one.pixels == two.pixels) << to_string(executor);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, TiledNetworkTest, testing::ValuesIn(kSizes),
                         [](const auto& tested) { return std::string(tested.param.network); });

}  // namespace
}  // namespace kiln::lane
