// The uncompiled graph against spandrel's own forward, for every architecture.
#include "lane/engine/network.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/lane/engine/fixture.h"

namespace kiln::lane {
namespace {

constexpr float kTolerance = 1e-4F;  // of the output's range

// Whoever is not here runs with the threads that it is given, these with one.
const std::set<std::string> kRunWithOneThread = {"dat", "omnisr", "realcugan"};
// Of the others: uncompiled, bits depend on the number of threads. Compiled they do not.
const std::set<std::string> kUncompiledBitsDependOnThreads = {"plksr"};

class NetworkTest : public testing::TestWithParam<const char*> {};

TEST_P(NetworkTest, UncompiledEqualsTheOriginalAtTwoSizes) {
  const Fixture fixture = load_fixture(GetParam());
  std::vector<std::vector<float>> of_one_thread;
  for (const int threads : {1, 2}) {
    auto network = Network::load(fixture.source(threads));
    ASSERT_TRUE(network) << network.error().message;
    EXPECT_EQ((*network)->threads(), kRunWithOneThread.contains(GetParam()) ? 1 : threads);
    for (std::size_t i = 0; i < fixture.cases.size(); ++i) {
      const FixtureCase& one = fixture.cases[i];
      auto output = run_case(**network, fixture, one, Executor::kUncompiled);
      ASSERT_TRUE(output) << output.error().message;
      EXPECT_LE(largest_difference(*output, one.expected), kTolerance * one.range)
          << one.height << "x" << one.width << ", " << threads << " threads";
      if (threads == 1) of_one_thread.push_back(std::move(*output));
      else EXPECT_TRUE(*output == of_one_thread[i] || kUncompiledBitsDependOnThreads.contains(GetParam())) << one.height;
    }
  }
}

TEST_P(NetworkTest, RepeatedRunsGiveTheSameBits) {
  const Fixture fixture = load_fixture(GetParam());
  auto network = Network::load(fixture.source(1));
  ASSERT_TRUE(network) << network.error().message;
  const auto first = run_case(**network, fixture, fixture.cases[0], Executor::kUncompiled);
  const auto other = run_case(**network, fixture, fixture.cases[1], Executor::kUncompiled);
  const auto again = run_case(**network, fixture, fixture.cases[0], Executor::kUncompiled);
  ASSERT_TRUE(first && other && again);
  EXPECT_EQ(*first, *again);
}

INSTANTIATE_TEST_SUITE_P(Architectures, NetworkTest,
                         testing::Values("compact", "esrgan", "swinir", "dat", "plksr", "omnisr",
                                         "realcugan", "three_frames", "animevideov3"),
                         [](const auto& tested) { return std::string(tested.param); });

// A graph of half the width on the CPU: what a card runs, and what its results are compared with.
class HalfWidthNetworkTest : public testing::TestWithParam<const char*> {};

void expect_half_width_runs(const std::string& name, const char* width) {
  // Of the output's range: float16 keeps 11 bits, bfloat16 8.
  const float tolerance = std::string_view(width) == "float16" ? 0.01F : 0.05F;
  const Fixture fixture = load_fixture(name, width);
  const auto dtype = sharding::graph_dtype_from_string(width);
  ASSERT_TRUE(dtype);
  auto network = Network::load(fixture.source(1, *dtype));
  ASSERT_TRUE(network) << network.error().message;
  for (const FixtureCase& one : fixture.cases) {
    const auto output = run_case(**network, fixture, one, Executor::kUncompiled);
    ASSERT_TRUE(output) << output.error().message;
    const float difference = largest_difference(*output, one.expected);
    fmt::print(stderr, "{} {}: {:.2e} of the range\n", name, width, difference / one.range);
    EXPECT_LE(difference, tolerance * one.range);
  }
  EXPECT_EQ((*network)->input_specs(padded_shape(fixture, fixture.cases[0]))->front().dtype, width);
}

// Both in one test: they share a package, and making that takes minutes.
TEST_P(HalfWidthNetworkTest, RunsOnTheCpu) {
  for (const char* width : {"float16", "bfloat16"}) expect_half_width_runs(GetParam(), width);
}

INSTANTIATE_TEST_SUITE_P(Architectures, HalfWidthNetworkTest, testing::Values("compact", "swinir", "dat"),
                         [](const auto& tested) { return std::string(tested.param); });

// Two blocks of the same shape, by the beginning of their parameters' names.
struct Swap {
  const char* network;
  const char* first;
  const char* second;
};

class MutationTest : public testing::TestWithParam<Swap> {};

TEST_P(MutationTest, SwappedBlocksAreSeen) {
  Fixture fixture = load_fixture(GetParam().network);
  const std::string first = GetParam().first;
  const std::string second = GetParam().second;
  int swapped = 0;
  for (auto& parameter : fixture.manifest.parameters) {
    const bool in_first = parameter.name.starts_with(first);
    if (!in_first && !parameter.name.starts_with(second)) continue;
    parameter.name = in_first ? second + parameter.name.substr(first.size())
                              : first + parameter.name.substr(second.size());
    ++swapped;
  }
  ASSERT_GE(swapped, 2);
  auto network = Network::load(fixture.source());
  ASSERT_TRUE(network) << network.error().message;
  const FixtureCase& one = fixture.cases[0];
  const auto output = run_case(**network, fixture, one, Executor::kUncompiled);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_GE(largest_difference(*output, one.expected), 10 * kTolerance * one.range);
}

INSTANTIATE_TEST_SUITE_P(
    Blocks, MutationTest,
    testing::Values(Swap{"compact", "body.2.", "body.4."}, Swap{"esrgan", "model.1.sub.0.", "model.1.sub.1."},
                    Swap{"swinir", "layers.0.residual_group.blocks.0.", "layers.1.residual_group.blocks.0."},
                    Swap{"dat", "layers.0.blocks.0.", "layers.0.blocks.2."},
                    Swap{"plksr", "feats.1.", "feats.2."},
                    Swap{"omnisr", "residual_layer.0.", "residual_layer.1."},
                    Swap{"realcugan", "unet1.conv3.", "unet2.conv5."}),
    [](const auto& tested) { return std::string(tested.param.network); });

class RefusedNetworkTest : public testing::Test {
 protected:
  void expect_refused(const NetworkSource& source, const std::string& says) {
    const auto network = Network::load(source);
    ASSERT_FALSE(network);
    EXPECT_NE(network.error().message.find(says), std::string::npos) << network.error().message;
    EXPECT_EQ(exit_code(network.error()), 65);
  }
  Fixture fixture_ = load_fixture("compact");
};

TEST_F(RefusedNetworkTest, TruncatedGraph) {
  NetworkSource source = fixture_.source();
  source.graphs[0].pt2 = source.graphs[0].pt2.first(source.graphs[0].pt2.size() / 2);
  expect_refused(source, "truncated");
}

TEST_F(RefusedNetworkTest, ChangedGraph) {
  NetworkSource source = fixture_.source();
  std::vector<std::byte> changed(source.graphs[0].pt2.begin(), source.graphs[0].pt2.end());
  changed[changed.size() / 2] ^= std::byte{4};
  source.graphs[0].pt2 = changed;
  expect_refused(source, "checksum");
}

TEST_F(RefusedNetworkTest, TruncatedWeights) {
  NetworkSource source = fixture_.source();
  source.weights = source.weights.first(source.weights.size() - 4);
  expect_refused(source, "truncated");
}

TEST_F(RefusedNetworkTest, MissingTensor) {
  fixture_.manifest.parameters[0].name = "nowhere";
  expect_refused(fixture_.source(), "'nowhere' is missing");
}

TEST_F(RefusedNetworkTest, ShapeOfAnotherModel) {
  fixture_.manifest.parameters[0].shape[0] *= 2;
  expect_refused(fixture_.source(), "the manifest says");
}

TEST_F(RefusedNetworkTest, ParametersInAnotherOrder) {
  std::swap(fixture_.manifest.parameters[0], fixture_.manifest.parameters[1]);
  expect_refused(fixture_.source(), "the graph takes");
}

TEST_F(RefusedNetworkTest, ParameterTooMany) {
  fixture_.manifest.parameters.push_back(fixture_.manifest.parameters[0]);
  expect_refused(fixture_.source(), "parameters");
}

TEST_F(RefusedNetworkTest, SizesThatNoGraphTakes) {
  auto network = Network::load(fixture_.source());
  ASSERT_TRUE(network);
  std::vector<float> nothing;
  for (const TileShape shape : {TileShape{1, 0, 0}, TileShape{1, -4, 16}, TileShape{2, 16, 16},
                                TileShape{1, INT64_MAX, INT64_MAX}, TileShape{1, 100000, 16}}) {
    EXPECT_FALSE((*network)->run(Executor::kUncompiled, nothing, shape, nothing));
    EXPECT_FALSE((*network)->peak_activation_bytes(shape));
    EXPECT_FALSE((*network)->input_specs(shape));
  }
  // A size that the graph takes, with buffers of another.
  EXPECT_FALSE((*network)->run(Executor::kUncompiled, nothing, TileShape{1, 16, 16}, nothing));
}

TEST_F(RefusedNetworkTest, UnknownDevice) {
  NetworkSource source = fixture_.source();
  source.device = "quantum:0";
  const auto network = Network::load(source);
  ASSERT_FALSE(network);
  EXPECT_NE(network.error().message.find("quantum:0"), std::string::npos);
}

}  // namespace
}  // namespace kiln::lane
