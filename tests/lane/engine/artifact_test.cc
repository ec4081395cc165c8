// Compiled libraries: equal to the original network, and checked before every call.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <regex>
#include <thread>

#include "base/process.h"
#include "lane/engine/compiled_artifact.h"
#include "lane/engine/network.h"
#include "tests/lane/engine/compiled_fixture.h"

namespace kiln::lane {
namespace {

constexpr float kTolerance = 1e-4F;  // of the output's range
const std::vector<std::string> kNames = {"compact", "esrgan",    "swinir",       "dat",         "plksr",
                                         "omnisr",  "realcugan", "three_frames", "animevideov3"};

struct Bound {
  Fixture fixture;
  std::unique_ptr<Network> network;
};

Bound load_bound(const std::string& name, int threads) {
  Bound bound{load_fixture(name), nullptr};
  auto network = Network::load(bound.fixture.source(threads));
  EXPECT_TRUE(network) << network.error().message;
  bound.network = std::move(*network);
  for (const FixtureCase& one : bound.fixture.cases) {
    const TileShape shape = padded_shape(bound.fixture, one);
    if (bound.network->has_artifact(shape)) continue;
    auto compiled = load_compiled(name, *bound.network, shape);
    EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().message);
    const auto status = bound.network->bind_artifact(compiled->spec, compiled->library.get());
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
  }
  return bound;
}

// Every vector and mask register that the code names, each once.
std::string registers_of(const std::string& library) {
  SpawnOptions options;
  options.argv = {"sh", "-c",
                  "objdump -d --no-show-raw-insn \"$0\" | grep -oE '%([xyz]mm[0-9]+|k[0-7])' | sort -u", library};
  const auto output = run_command(options, std::chrono::minutes(2));
  return output ? output->out : std::string();
}

// One test, so that one warm process compiles all of them.
TEST(ArtifactTest, CompiledEqualsTheOriginalForEveryArchitecture) {
  const auto made = compile_fixtures(kNames);
  ASSERT_TRUE(made) << made.error().message;
  for (const std::string& name : kNames) {
    std::vector<std::vector<float>> by_threads;
    for (const int threads : {1, 2}) {
      Bound bound = load_bound(name, threads);
      for (const FixtureCase& one : bound.fixture.cases) {
        auto output = run_case(*bound.network, bound.fixture, one, Executor::kCompiled);
        ASSERT_TRUE(output) << name << ": " << output.error().message;
        EXPECT_LE(largest_difference(*output, one.expected), kTolerance * one.range) << name;
        auto again = run_case(*bound.network, bound.fixture, one, Executor::kCompiled);
        EXPECT_EQ(*output, *again) << name << ": two runs differ";
        by_threads.push_back(std::move(*output));
      }
    }
    // The networks whose sums threads would share (dat here, realcugan and omnisr from larger pictures on) run with one.
    const bool same = by_threads[0] == by_threads[2] && by_threads[1] == by_threads[3];
    EXPECT_TRUE(same) << name << ": bits depend on the number of threads";
  }
}

// What is compiled for AVX2 holds vector instructions, and none of AVX-512: no register and no mask of its.
TEST(ArtifactTest, NoLibraryHoldsAnInstructionBeyondItsTarget) {
  const auto made = compile_fixtures(kNames);
  ASSERT_TRUE(made) << made.error().message;
  for (const std::string& name : kNames) {
    const Bound bound = load_bound(name, 1);
    for (const FixtureCase& one : bound.fixture.cases) {
      const auto compiled = load_compiled(name, *bound.network, padded_shape(bound.fixture, one));
      ASSERT_TRUE(compiled) << compiled.error().message;
      const std::string registers = registers_of(compiled->path);
      EXPECT_NE(registers.find("%ymm"), std::string::npos) << name << " is not vectorised at all";
      EXPECT_FALSE(std::regex_search(registers, std::regex("%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|%k[0-7]")))
          << name << ": " << registers;
    }
  }
}

class CompactArtifactTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto made = compile_compact();
    ASSERT_TRUE(made) << made.error().message;
    fixture_ = load_fixture("compact");
    auto network = Network::load(fixture_.source());
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
    shape_ = padded_shape(fixture_, fixture_.cases[0]);
    auto compiled = load_compiled("compact", *network_, shape_);
    ASSERT_TRUE(compiled) << compiled.error().message;
    compiled_ = std::move(*compiled);
  }

  // Binding must fail, and leave the network as it was.
  void expect_refused(const ArtifactSpec& spec, int fd, const std::string& says) {
    const auto status = network_->bind_artifact(spec, fd);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find(says), std::string::npos) << status.error().message;
    EXPECT_FALSE(network_->has_artifact(shape_));
  }

  Fixture fixture_;
  std::unique_ptr<Network> network_;
  TileShape shape_;
  CompiledFixture compiled_;
};

TEST_F(CompactArtifactTest, RefusedWithoutBinding) {
  std::vector<float> input(fixture_.cases[0].input);
  std::vector<float> output(input.size() * 16);
  const auto status = network_->run(Executor::kCompiled, input, shape_, output);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("no artifact"), std::string::npos);
}

TEST_F(CompactArtifactTest, OtherIsaLevelIsRefused) {
  compiled_.spec.isa = "avx9000";
  expect_refused(compiled_.spec, compiled_.library.get(), "avx9000");
}

TEST_F(CompactArtifactTest, OtherInputsAreRefused) {
  ArtifactSpec strides = compiled_.spec;
  strides.inputs[0].strides = {5760, 1920, 48, 1};
  expect_refused(strides, compiled_.library.get(), "input 0");
  ArtifactSpec dtype = compiled_.spec;
  dtype.inputs[1].dtype = "float16";
  expect_refused(dtype, compiled_.library.get(), "input 1");
  ArtifactSpec missing = compiled_.spec;
  missing.inputs.pop_back();
  expect_refused(missing, compiled_.library.get(), "inputs");
  ArtifactSpec shape = compiled_.spec;
  shape.inputs[0].shape_min[3] = shape.inputs[0].shape_max[3] = 64;
  expect_refused(shape, compiled_.library.get(), "input 0");
  ArtifactSpec card = compiled_.spec;
  card.inputs[0].device = "cuda";
  expect_refused(card, compiled_.library.get(), "input 0");
  // More than a lane promises of its tensors: it would be refused at one frame or another.
  ArtifactSpec alignment = compiled_.spec;
  alignment.inputs[0].alignment_bytes = 64;
  expect_refused(alignment, compiled_.library.get(), "alignment");
}

TEST_F(CompactArtifactTest, UnsealedFileIsRefused) {
  const UniqueFd open_file(memfd_create("artifact", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  expect_refused(compiled_.spec, open_file.get(), "seal");
}

TEST_F(CompactArtifactTest, SomethingElseThanALibraryIsRefused) {
  const std::string text = "not a library";
  auto sealed = make_sealed("artifact", std::as_bytes(std::span(text)));
  ASSERT_TRUE(sealed);
  expect_refused(compiled_.spec, sealed->get(), "opening the artifact");
}

TEST_F(CompactArtifactTest, BoundFromAnotherThreadTakesEffectBetweenRuns) {
  const FixtureCase& one = fixture_.cases[0];
  const auto before = run_case(*network_, fixture_, one, Executor::kUncompiled);
  std::atomic<bool> done = false;
  std::thread binder([&] {
    const auto status = network_->bind_artifact(compiled_.spec, compiled_.library.get());
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
    done = true;
  });
  while (!done) EXPECT_TRUE(run_case(*network_, fixture_, one, Executor::kUncompiled));
  binder.join();
  compiled_.library.reset();  // the descriptor may go: the library is mapped
  const auto after = run_case(*network_, fixture_, one, Executor::kCompiled);
  ASSERT_TRUE(before && after);
  EXPECT_LE(largest_difference(*before, *after), kTolerance * one.range);
}

// Descriptors' numbers repeat; the loader must not take the second library for the first.
TEST_F(CompactArtifactTest, DescriptorNumberUsedAgainOpensTheNewLibrary) {
  const TileShape other = padded_shape(fixture_, fixture_.cases[1]);
  auto second = load_compiled("compact", *network_, other);
  ASSERT_TRUE(second) << second.error().message;
  const int number = compiled_.library.get();
  ASSERT_TRUE(network_->bind_artifact(compiled_.spec, number));
  compiled_.library.reset();
  ASSERT_EQ(dup2(second->library.get(), number), number);
  const UniqueFd again(number);
  ASSERT_TRUE(network_->bind_artifact(second->spec, number));
  for (const FixtureCase& one : fixture_.cases) {
    const auto output = run_case(*network_, fixture_, one, Executor::kCompiled);
    ASSERT_TRUE(output) << output.error().message;
    EXPECT_LE(largest_difference(*output, one.expected), kTolerance * one.range);
  }
}

TEST_F(CompactArtifactTest, EightThreadsOpenTheSameLibrary) {
  const auto host = this_host();
  ASSERT_TRUE(host);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&] { EXPECT_TRUE(CompiledArtifact::open(compiled_.spec, compiled_.library.get(), *host)); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(MappedLibtorchTest, CountsDifferentFiles) {
  EXPECT_EQ(count_mapped_libtorch(""), 0);
  const std::string one = "7f0-7f1 r-xp 0 08:01 1 /a/lib/libtorch_cpu.so\n7f1-7f2 r--p 0 08:01 1 /a/lib/libtorch_cpu.so\n";
  EXPECT_EQ(count_mapped_libtorch(one), 1);
  EXPECT_EQ(count_mapped_libtorch(one + "7f3-7f4 r-xp 0 08:01 2 /b/libtorch_cpu.so\n"), 2);
}

}  // namespace
}  // namespace kiln::lane
