// A compiled library on a card by itself: what LibTorch lets through there, and what leaves it. Skipped, with the reason,
// where there is no card. Libraries are compiled on that card, by the compile child's own Python.
#include "lane/engine/compiled_artifact.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "lane/engine/network_weights.h"
#include "tests/lane/engine/compiled_fixture.h"

namespace kiln::lane {
namespace {

constexpr float kTolerance = 1e-4F;  // of the output's range, without TF32
constexpr int kThreads = 8;          // as many as one of which failed where constructors ran side by side
constexpr int kReloads = 20;

std::int64_t allocated_bytes() {
  const auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(0);
  return stats.allocated_bytes[static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE)].current;
}

class CompiledArtifactCudaTest : public testing::Test {
 protected:
  void SetUp() override {
    fixture_ = load_fixture("compact");
    NetworkSource source = fixture_.source();
    source.device = "cuda:0";
    auto network = Network::load(source);
    if (!network && network.error().code == ErrorCode::kUnavailable) GTEST_SKIP() << network.error().message;
    ASSERT_TRUE(network) << network.error().message;
    at::globalContext().setAllowTF32CuDNN(false);
    const auto made = compile_compact("cuda");
    ASSERT_TRUE(made) << made.error().message;
    auto compiled = load_compiled("compact", **network, padded_shape(fixture_, fixture_.cases[0]), "cuda");
    ASSERT_TRUE(compiled) << compiled.error().message;
    compiled_ = std::move(*compiled);
    auto host = this_host();
    ASSERT_TRUE(host) << host.error().message;
    host_ = std::move(*host);
    inputs_ = load_weights(fixture_.manifest, fixture_.manifest.graphs[0].component, fixture_.weights.bytes(),
                           sharding::GraphDtype::kFloat32, "cuda:0", nullptr).value();
    const FixtureCase& one = fixture_.cases[0];
    const at::Tensor x = at::zeros({1, one.height, one.width, 3});
    std::copy(one.input.begin(), one.input.end(), x.mutable_data_ptr<float>());
    inputs_.insert(inputs_.begin(), x.to(at::kCUDA).permute({0, 3, 1, 2}));
  }

  Result<std::unique_ptr<CompiledArtifact>> open() const {
    return CompiledArtifact::open(compiled_.spec, compiled_.library.get(), host_);
  }
  // Of the original's output; more than its range where there is none.
  float difference(CompiledArtifact& artifact) const {
    const FixtureCase& one = fixture_.cases[0];
    const auto outputs = artifact.run(inputs_);
    EXPECT_TRUE(outputs) << outputs.error().message;
    if (!outputs) return 2 * one.range;
    const at::Tensor pixels = (*outputs)[0].permute({0, 2, 3, 1}).contiguous().cpu();
    const auto* data = pixels.const_data_ptr<float>();
    return largest_difference({data, data + pixels.numel()}, one.expected);
  }

  Fixture fixture_;
  CompiledFixture compiled_;
  ArtifactHost host_;
  std::vector<at::Tensor> inputs_;
};

TEST_F(CompiledArtifactCudaTest, EqualsTheOriginal) {
  const auto artifact = open();
  ASSERT_TRUE(artifact) << artifact.error().message;
  const float range = fixture_.cases[0].range;
  const float apart = difference(**artifact);
  fmt::print(stderr, "compact, compiled: {:.2e} of the range\n", apart / range);
  EXPECT_LE(apart, kTolerance * range);
}

TEST_F(CompiledArtifactCudaTest, RunTakesOnlyWhatItWasCompiledFor) {
  const auto artifact = open();
  ASSERT_TRUE(artifact) << artifact.error().message;
  const auto refused = [&](std::size_t index, const at::Tensor& tensor, const std::string& says) {
    std::vector<at::Tensor> list = inputs_;
    list[index] = tensor;
    const auto outputs = (*artifact)->run(list);
    ASSERT_FALSE(outputs) << says;
    EXPECT_NE(outputs.error().message.find(says), std::string::npos) << outputs.error().message;
  };
  const at::Tensor& x = inputs_[0];
  const at::Tensor& weight = inputs_[1];
  refused(0, x.cpu(), "device cuda, not cpu");
  refused(1, weight.cpu(), "device cuda, not cpu");
  refused(1, weight.to(at::kHalf), "dtype float32, not float16");
  refused(1, weight.narrow(0, 0, weight.size(0) - 1), "shape");
  refused(0, x.contiguous(), "strides");
  const at::Tensor room = at::zeros({x.numel() + 1}, x.options());
  refused(0, room.as_strided(x.sizes(), x.strides(), 1), "alignment of 16 bytes");
  ASSERT_TRUE((*artifact)->run(inputs_)) << "what was refused left nothing behind";
}

TEST_F(CompiledArtifactCudaTest, LibraryWithConstantsOfItsOwnIsRefused) {
  auto compiled = load_with_constants("cuda");
  ASSERT_TRUE(compiled) << compiled.error().message;
  compiled_ = std::move(*compiled);
  const auto artifact = open();
  ASSERT_FALSE(artifact);
  EXPECT_NE(artifact.error().message.find("constants of its own"), std::string::npos) << artifact.error().message;
}

TEST_F(CompiledArtifactCudaTest, OpensFromManyThreadsAtOnce) {
  std::vector<std::string> failures(kThreads);
  std::vector<std::thread> threads;
  for (std::string& failure : failures) {
    threads.emplace_back([&] {
      const auto artifact = open();
      const auto outputs = artifact ? (*artifact)->run(inputs_) : Result<std::vector<at::Tensor>>(fail(artifact.error()));
      if (!outputs) failure = outputs.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
}

// The handles that pin memory with every change of constants are not used: weights are inputs.
TEST_F(CompiledArtifactCudaTest, OpeningAgainHoldsNoMemoryOfTheCard) {
  std::int64_t after_first = 0;
  for (int i = 0; i < kReloads; ++i) {
    const auto artifact = open();
    ASSERT_TRUE(artifact) << artifact.error().message;
    ASSERT_LE(difference(**artifact), kTolerance * fixture_.cases[0].range);
    if (i == 0) after_first = allocated_bytes();
  }
  EXPECT_LE(allocated_bytes(), after_first);
}

// Left open on purpose: a process that ends with one must still end as it wants to, which its exit code says.
TEST_F(CompiledArtifactCudaTest, MayBeOpenWhenTheProcessEnds) {
  static std::unique_ptr<CompiledArtifact> kept;
  auto artifact = open();
  ASSERT_TRUE(artifact) << artifact.error().message;
  kept = std::move(*artifact);
  EXPECT_LE(difference(*kept), kTolerance * fixture_.cases[0].range);
}

}  // namespace
}  // namespace kiln::lane
