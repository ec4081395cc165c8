// A compiled library by itself, without a network around it: what opens it, and what a call may hand over.
#include "lane/engine/compiled_artifact.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "lane/engine/network_weights.h"
#include "tests/lane/engine/compiled_fixture.h"

namespace kiln::lane {
namespace {

constexpr float kTolerance = 1e-4F;  // of the output's range

// A tensor as the manifest wants it, all of one value.
at::Tensor tensor_for(const cache::TensorSpec& spec, c10::ScalarType type = c10::ScalarType::Float) {
  return at::empty_strided(spec.shape_max, spec.strides, at::TensorOptions().dtype(type)).fill_(0.25);
}

// The words of a processor of this level and no more, as /proc/cpuinfo's machine of 2013 has them.
CpuidWords avx2_processor() {
  CpuidWords words;
  words.leaf1_ecx = 0x7ffafbff;
  words.leaf7_ebx = 0x000027ab;
  words.extended1_ecx = 0x00000021;
  words.xcr0 = 0x7;
  return words;
}

class CompiledArtifactTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto made = compile_compact();
    ASSERT_TRUE(made) << made.error().message;
    fixture_ = load_fixture("compact");
    auto network = Network::load(fixture_.source());
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
    auto compiled = load_compiled("compact", *network_, padded_shape(fixture_, fixture_.cases[0]));
    ASSERT_TRUE(compiled) << compiled.error().message;
    compiled_ = std::move(*compiled);
    auto host = this_host();
    ASSERT_TRUE(host) << host.error().message;
    host_ = std::move(*host);
  }

  Result<std::unique_ptr<CompiledArtifact>> open() const {
    return CompiledArtifact::open(compiled_.spec, compiled_.library.get(), host_);
  }
  std::vector<at::Tensor> inputs() const {
    std::vector<at::Tensor> list;
    for (const auto& spec : compiled_.spec.inputs) list.push_back(tensor_for(spec));
    return list;
  }
  // A picture and the weights, as the network itself would hand them over.
  std::vector<at::Tensor> network_inputs(const FixtureCase& one) const {
    auto list = load_weights(fixture_.manifest, fixture_.manifest.graphs[0].component, fixture_.weights.bytes(),
                             sharding::GraphDtype::kFloat32, "cpu", nullptr).value();
    const at::Tensor x = at::zeros({1, one.height, one.width, 3});
    std::copy(one.input.begin(), one.input.end(), x.mutable_data_ptr<float>());
    list.insert(list.begin(), x.permute({0, 3, 1, 2}));
    return list;
  }
  void expect_open_refused(const std::string& says) const {
    const auto artifact = open();
    ASSERT_FALSE(artifact);
    EXPECT_NE(artifact.error().message.find(says), std::string::npos) << artifact.error().message;
    EXPECT_EQ(exit_code(artifact.error()), 65);
  }

  Fixture fixture_;
  std::unique_ptr<Network> network_;
  CompiledFixture compiled_;
  ArtifactHost host_;
};

TEST_F(CompiledArtifactTest, ProcessorBelowTheTargetIsRefused) {
  host_.cpuid = avx2_processor();
  EXPECT_TRUE(open());
  compiled_.spec.isa = "avx512";
  expect_open_refused("compiled for avx512, this processor has avx2");
  compiled_.spec.isa = "avx2";
  host_.cpuid.leaf7_ebx = 0;
  expect_open_refused("compiled for avx2, this processor has none");
}

TEST_F(CompiledArtifactTest, ArtifactForACardIsRefusedWithoutOne) {
  compiled_.spec.device = "cuda";
  const auto artifact = open();
  ASSERT_FALSE(artifact);
  EXPECT_NE(artifact.error().message.find("this lane has no card"), std::string::npos) << artifact.error().message;
}

TEST_F(CompiledArtifactTest, ProcessWithTwoLibtorchIsRefused) {
  host_.maps += "7f3-7f4 r-xp 0 08:01 2 /another/libtorch_cpu.so\n";
  expect_open_refused("2 copies of LibTorch");
  host_.maps.clear();
  expect_open_refused("0 copies of LibTorch");
}

TEST_F(CompiledArtifactTest, LibraryWithConstantsOfItsOwnIsRefused) {
  auto compiled = load_with_constants();
  ASSERT_TRUE(compiled) << compiled.error().message;
  compiled_ = std::move(*compiled);
  expect_open_refused("constants of its own");
}

TEST_F(CompiledArtifactTest, RunTakesOnlyWhatItWasCompiledFor) {
  const auto artifact = open();
  ASSERT_TRUE(artifact) << artifact.error().message;
  ASSERT_TRUE((*artifact)->run(inputs()));
  const auto refused = [&](std::size_t index, const at::Tensor& tensor, const std::string& says) {
    std::vector<at::Tensor> list = inputs();
    list[index] = tensor;
    const auto outputs = (*artifact)->run(list);
    ASSERT_FALSE(outputs) << says;
    EXPECT_NE(outputs.error().message.find(fmt::format("input {}: ", index)), std::string::npos);
    EXPECT_NE(outputs.error().message.find(says), std::string::npos) << outputs.error().message;
    EXPECT_EQ(exit_code(outputs.error()), 65);
  };
  const cache::TensorSpec& x = compiled_.spec.inputs[0];
  refused(0, tensor_for(x, c10::ScalarType::Half), "dtype float32, not float16");
  refused(0, tensor_for(x, c10::ScalarType::ComplexFloat), "dtype");
  refused(0, tensor_for(x).contiguous(), "strides");
  refused(0, tensor_for(x).transpose(2, 3), "shape");
  refused(0, tensor_for(x).squeeze(0), "rank");
  const auto elsewhere = at::TensorOptions().device(at::kMeta);
  refused(0, at::empty_strided(x.shape_max, x.strides, elsewhere), "device cpu, not another");
  // One float further: every stride is right, and the first element lies 4 bytes beside what is promised.
  at::Tensor room = at::zeros({tensor_for(x).numel() + 1});
  refused(0, room.as_strided(x.shape_max, x.strides, 1), "alignment of 16 bytes");
  const cache::TensorSpec& weight = compiled_.spec.inputs[1];
  at::Tensor smaller = tensor_for(weight).narrow(0, 0, weight.shape_max[0] - 1);
  refused(1, smaller, "shape");
}

TEST_F(CompiledArtifactTest, AnotherNumberOfInputsIsRefused) {
  const auto artifact = open();
  ASSERT_TRUE(artifact) << artifact.error().message;
  std::vector<at::Tensor> list = inputs();
  list.pop_back();
  EXPECT_FALSE((*artifact)->run(list));
  list.push_back(inputs().back());
  list.push_back(inputs().back());
  EXPECT_FALSE((*artifact)->run(list));
}

TEST_F(CompiledArtifactTest, ResultOtherThanTheManifestSaysIsRefused) {
  compiled_.spec.outputs[0].shape_min[2] += 4;
  compiled_.spec.outputs[0].shape_max[2] += 4;
  const auto artifact = open();
  ASSERT_TRUE(artifact) << artifact.error().message;
  const auto outputs = (*artifact)->run(inputs());
  ASSERT_FALSE(outputs);
  EXPECT_NE(outputs.error().message.find("result 0"), std::string::npos) << outputs.error().message;
}

// Nothing is unpacked anywhere: where not one byte may be written to any file, it opens and runs.
TEST_F(CompiledArtifactTest, OpensAndRunsWhereNoFileCanBeWritten) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto child = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit nothing{0, 0};
    if (::setrlimit(RLIMIT_FSIZE, &nothing) != 0) std::_Exit(2);
    const auto artifact = open();
    if (!artifact) std::_Exit(3);
    std::_Exit((*artifact)->run(inputs()) ? 0 : 4);
  };
  EXPECT_EXIT(child(), testing::ExitedWithCode(0), "");
}

// One library for a range of sizes. Lanes ask for one size; this is what an artifact for all would rest on.
TEST_F(CompiledArtifactTest, LibraryForARangeOfSizesRunsAtEachAndRefusesTheRest) {
  auto compiled = load_open_sizes(*network_);
  ASSERT_TRUE(compiled) << compiled.error().message;
  const auto artifact = CompiledArtifact::open(compiled->spec, compiled->library.get(), host_);
  ASSERT_TRUE(artifact) << artifact.error().message;
  for (const FixtureCase& one : fixture_.cases) {
    std::vector<at::Tensor> list = network_inputs(one);
    const auto outputs = (*artifact)->run(list);
    ASSERT_TRUE(outputs) << outputs.error().message;
    const at::Tensor pixels = (*outputs)[0].permute({0, 2, 3, 1}).contiguous();
    const auto* data = pixels.const_data_ptr<float>();
    EXPECT_LE(largest_difference({data, data + pixels.numel()}, one.expected), kTolerance * one.range) << one.height;
  }
  std::vector<at::Tensor> list = network_inputs(fixture_.cases[0]);
  list[0] = at::zeros({1, 3, 16, 513});
  const auto outputs = (*artifact)->run(list);
  ASSERT_FALSE(outputs);
  EXPECT_NE(outputs.error().message.find("input 0: "), std::string::npos) << outputs.error().message;
}

}  // namespace
}  // namespace kiln::lane
