// The same packages through the graph runner on a card. Skipped, with the reason, where there is none.
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include "lane/engine/network.h"
#include "tests/lane/engine/fixture.h"

namespace kiln::lane {
namespace {

constexpr float kTolerance = 1e-4F;  // of the output's range, without TF32

class GraphRunnerCudaTest : public testing::TestWithParam<const char*> {};

TEST_P(GraphRunnerCudaTest, EqualsTheOriginal) {
  const Fixture fixture = load_fixture(GetParam());
  NetworkSource source = fixture.source();
  source.device = "cuda:0";
  auto network = Network::load(source);
  if (!network && network.error().code == ErrorCode::kUnavailable) GTEST_SKIP() << network.error().message;
  ASSERT_TRUE(network) << network.error().message;
  at::globalContext().setAllowTF32CuDNN(false);
  for (const FixtureCase& one : fixture.cases) {
    const auto output = run_case(**network, fixture, one, Executor::kUncompiled);
    ASSERT_TRUE(output) << output.error().message;
    const float difference = largest_difference(*output, one.expected);
    fmt::print(stderr, "{}: {:.2e} of the range\n", GetParam(), difference / one.range);
    EXPECT_LE(difference, kTolerance * one.range);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, GraphRunnerCudaTest,
                         testing::Values("compact", "esrgan", "swinir", "dat", "plksr", "omnisr",
                                         "realcugan", "three_frames"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace kiln::lane
