// The liveness walk against what a counting allocator sees.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lane/engine/counting_allocator.h"
#include "tests/lane/engine/fixture.h"

namespace kiln::lane {
namespace {

constexpr double kTolerance = 0.10;

std::uint64_t most_at_once(const std::vector<sharding::MemoryStep>& steps) {
  std::uint64_t now = 0;
  std::uint64_t most = 0;
  for (const sharding::MemoryStep& step : steps) {
    now = step.bytes > 0 ? now + step.bytes : now - steps[step.taken].bytes;
    most = std::max(most, now);
  }
  return most;
}

class PeakTest : public testing::TestWithParam<const char*> {};

TEST_P(PeakTest, EstimateIsWithinTenPercentOfTheAllocator) {
  install_counting_allocator();
  const Fixture fixture = load_fixture(GetParam());
  auto network = Network::load(fixture.source());
  ASSERT_TRUE(network) << network.error().message;
  const TileShape shape = padded_shape(fixture, fixture.cases[0]);
  const auto estimate = (*network)->peak_activation_bytes(shape);
  ASSERT_TRUE(estimate) << estimate.error().message;
  const auto pixels = static_cast<std::size_t>(shape.height * shape.width * 3);
  const auto scale = static_cast<std::size_t>(fixture.manifest.scale);
  const std::vector<float> input(pixels * static_cast<std::size_t>(shape.frames), 0.5F);
  std::vector<float> output(pixels * scale * scale);
  // The first run also checks every value; the second is what a lane does for hours.
  const auto first = (*network)->run(Executor::kUncompiled, input, shape, output);
  ASSERT_TRUE(first) << first.error().message;
  restart_peak();
  ASSERT_TRUE((*network)->run(Executor::kUncompiled, input, shape, output));
  // A single frame is used where the caller has it, which the allocator does not see.
  const std::uint64_t frames = shape.frames == 1 ? input.size() * sizeof(float) : 0;
  const auto measured = static_cast<double>(peak_bytes() + frames);
  EXPECT_NEAR(static_cast<double>(*estimate), measured, kTolerance * measured);
  const auto steps = (*network)->memory_steps(Executor::kUncompiled, shape);
  ASSERT_TRUE(steps) << steps.error().message;
  EXPECT_LE(most_at_once(*steps), *estimate);  // that counts the frames, and what operators need beside their results
  // Three frames of this size are so small that the CPU unfolds them for their convolution: more than half of its peak, and none of a card's.
  if (shape.frames == 1) {
    EXPECT_GE(most_at_once(*steps) + input.size() * sizeof(float), *estimate * 8 / 10);
  }
  fmt::print(stderr, "{}: estimated {} bytes, measured {:.0f} ({:+.1f} %)\n", GetParam(), *estimate,
             measured, 100.0 * (static_cast<double>(*estimate) / measured - 1));
}

INSTANTIATE_TEST_SUITE_P(Architectures, PeakTest,
                         testing::Values("compact", "esrgan", "swinir", "dat", "plksr", "omnisr",
                                         "realcugan", "three_frames", "animevideov3"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace kiln::lane
