// The key that a worker computes of a compile task: it has to be the coordinator's.
#include <gtest/gtest.h>

#include "sharding/package/package_inputs.h"
#include "worker/task_files.h"

namespace kiln::worker {
namespace {

class CompileKeyOfTest : public ::testing::Test {
 protected:
  void SetUp() override {
    package_.manifest.channels = 3;
    package_.manifest.graphs.resize(1);
    graph_.json_sha256 = std::string(64, 'a');
    identity_.target = {"sm_90", sharding::IsaLevel::kAvx2, {}};
    identity_.toolchain.torch_version = "2.11.0";
    identity_.device_name = "H100";
    spec_.height = 40;
    spec_.width = 48;
  }

  std::string key() const {
    const auto key = compile_key_of(package_, graph_, spec_, identity_);
    EXPECT_TRUE(key) << key.error().message;
    return key ? key->hex() : std::string();
  }
  // As clip_planning.cc of the coordinator makes it.
  std::string wanted(const sharding::CompileSettings& settings, const std::string& device_name) const {
    sharding::CompileKeyInputs inputs;
    inputs.graph_sha256 = graph_.json_sha256;
    inputs.bucket.inputs = sharding::package_inputs(package_.manifest, sharding::GraphDtype::kFloat32, 40, 48);
    inputs.settings = settings;
    inputs.target = identity_.target;
    inputs.target.device_name = device_name;
    inputs.toolchain = identity_.toolchain;
    return sharding::make_compile_key(inputs).hex();
  }

  ModelPackage package_;
  ModelPackage::Graph graph_;
  net::CompileSpec spec_;
  CompileIdentity identity_;
};

TEST_F(CompileKeyOfTest, HoldsTheModeAndTheCardsNameWhereItIsTunedOnIt) {
  using sharding::CompileMode;
  EXPECT_EQ(key(), wanted({}, ""));
  for (const auto mode : {CompileMode::kMaxAutotune, CompileMode::kMaxAutotuneNoCudagraphs}) {
    spec_.settings.mode = sharding::to_string(mode);
    EXPECT_EQ(key(), wanted({.mode = mode}, "H100"));
  }
}

TEST_F(CompileKeyOfTest, AModeThatIsNotKnownHereIsAnError) {
  spec_.settings.mode = "fastest";
  const auto key = compile_key_of(package_, graph_, spec_, identity_);
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().message.find("unknown compile mode 'fastest'"), std::string::npos) << key.error().message;
}

}  // namespace
}  // namespace kiln::worker
