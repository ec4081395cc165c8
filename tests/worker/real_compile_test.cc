// The real child compiles a real graph for a declared target. Minutes on a busy machine: few tests, each of
// which looks at everything that its compile shows.
#include <fcntl.h>
#include <sys/file.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "cache_store/artifact_file_check.h"
#include "cache_store/artifact_trust.h"
#include "tests/base/fault_file_system.h"
#include "tests/worker/artifact_builder_fixture.h"

namespace kiln::worker {
namespace {

class RealCompileTest : public ArtifactBuilderFixture {
 protected:
  void SetUp() override {
    ArtifactBuilderFixture::SetUp();
    // One child at a time has the work folder, also when these tests run side by side.
    constexpr auto kLockName = "/tests/compile_child.lock";
    lock_.reset(::open((environment("KILN_BINARY_DIR") + kLockName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::flock(lock_.get(), LOCK_EX), 0);
  }

  // All C++ that Inductor generated for the last request.
  [[nodiscard]] static std::string generated_code(const std::string& work_folder) {
    std::string code;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(work_folder + "/request")) {
      if (entry.path().extension() != ".cpp") continue;
      std::ifstream file(entry.path());
      code.append(std::istreambuf_iterator<char>(file), {});
    }
    return code;
  }

  [[nodiscard]] std::string disassembly(const ReadyArtifact& artifact) const {
    const auto bytes = Mapping::map(artifact.content.get()).value();
    const std::string path = folder_ / "library.so";
    std::ofstream(path, std::ios::binary) << bytes.text();
    SpawnOptions options;
    options.argv = {"objdump", "-d", "--no-show-raw-insn", path};
    return run_command(options, std::chrono::minutes(2), 512_MiB)->out;
  }

  void expect_no_avx512(const std::string& code) {
    EXPECT_TRUE(std::regex_search(code, std::regex("%ymm[0-9]"))) << "not vectorised at all";
    EXPECT_FALSE(std::regex_search(code, std::regex("%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|%k[0-7]|\\{z\\}")));
  }

  void expect_trusted(const ReadyArtifact& artifact, const Digest& key) {
    cache::TrustedKeys trusted;
    trusted.trust(key_.public_key());
    const auto verified =
        cache::verify_artifact(artifact.envelope, artifact.content.get(), key, trusted, 1'800'000'000);
    EXPECT_TRUE(verified) << verified.error().message;
  }

  void expect_measured(const cache::ArtifactManifest& manifest) {
    EXPECT_EQ(manifest.isa, "avx2");
    EXPECT_EQ(manifest.device_arch, "cpu");
    EXPECT_EQ(manifest.inputs.size(), manifest_.parameters.size() + 1);
    ASSERT_EQ(manifest.outputs.size(), 1U);
    EXPECT_EQ(manifest.outputs[0].shape_max,
              (std::vector<std::int64_t>{1, 3, 40 * manifest_.scale, 48 * manifest_.scale}));
    EXPECT_GT(manifest.compile_us, 0U);
    EXPECT_GT(manifest.compile_peak_rss_bytes, 100_MiB);
    EXPECT_LT(manifest.compile_peak_rss_bytes, 4_GiB);
    EXPECT_GT(manifest.run_us, 0U);
    EXPECT_GT(manifest.run_peak_bytes, 0U);
    EXPECT_LT(manifest.run_peak_bytes, 1_GiB);
  }

 private:
  UniqueFd lock_;
};

TEST_F(RealCompileTest, ArtifactIsForItsTargetSignedPublishedAndFoundAgain) {
  const ArtifactBuilderOptions options = real_options(sharding::IsaLevel::kAvx2);
  auto builder = std::make_unique<ArtifactBuilder>(options, *store_, key_);
  const auto key = builder->request(request_for(40, 48));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(builder->request(request_for(40, 48)).value(), *key);  // one compile, however often it is asked for
  const auto outcome = next_outcome(*builder);
  ASSERT_TRUE(outcome);
  ASSERT_TRUE(outcome->artifact) << outcome->artifact.error().message;
  EXPECT_EQ((*outcome->artifact)->source, ArtifactSource::kCompiled);
  expect_trusted(**outcome->artifact, *key);
  expect_measured((*outcome->artifact)->manifest);
  EXPECT_EQ(builder->child_stats().compiles, 1U);
  expect_no_avx512(disassembly(**outcome->artifact));

  const std::string code = generated_code(options.child.work_folder);
  EXPECT_NE(code.find("#pragma omp parallel"), std::string::npos);
  EXPECT_EQ(code.find("num_threads("), std::string::npos);
  const auto bytes = Mapping::map((*outcome->artifact)->content.get()).value();
  EXPECT_EQ(bytes.text().find(options.child.work_folder), std::string::npos) << "a path of this host";
  EXPECT_EQ(bytes.text().find(options.child.torch_folder), std::string::npos) << "a path of this host";

  builder = std::make_unique<ArtifactBuilder>(options, *store_, key_);  // the command, run again
  ASSERT_EQ(builder->request(request_for(40, 48)).value(), *key);
  const auto again = next_outcome(*builder);
  ASSERT_TRUE(again && again->artifact);
  EXPECT_EQ((*again->artifact)->source, ArtifactSource::kStore);
  expect_trusted(**again->artifact, *key);
  EXPECT_EQ(builder->child_stats().starts, 0U);
  EXPECT_EQ(builder->stats().compiles, 0U);
}

TEST_F(RealCompileTest, FullDiskIsAnErrorOfThatCompileAndDynamicGraphsCompile) {
  kiln::test::FaultFileSystem disk;
  open_store(disk);
  disk.limit_bytes(100'000);
  ArtifactBuilder builder(real_options(sharding::IsaLevel::kAvx2), *store_, key_);
  ArtifactRequest request = request_for(40, 48);
  request.settings.dynamic = true;
  request.inputs[0].shape[2] = {16, 512};
  request.inputs[0].shape[3] = {16, 512};
  request.inputs[0].strides.clear();
  ASSERT_TRUE(builder.request(request));
  const auto outcome = next_outcome(builder);
  ASSERT_TRUE(outcome);
  ASSERT_FALSE(outcome->artifact);
  EXPECT_EQ(outcome->artifact.error().exit, ExitCode::kIo) << outcome->artifact.error().message;
  EXPECT_EQ(builder.child_stats().compiles, 1U);  // the library was made; the disk was full
  store_.reset();
}

}  // namespace
}  // namespace kiln::worker
