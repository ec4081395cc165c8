#include "lane/pipelines/initial_noise.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/lane/generate/golden.h"

namespace kiln::lane {
namespace {

std::string digest_of(const at::Tensor& tensor) {
  return sha256(std::string_view(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes())).hex();
}

LatentSize size_of(const nlohmann::json& one) {
  return {one["size"][1], one["size"][2], one["size"][3], one["size"][4]};
}

TEST(InitialNoiseTest, IsThatOfDiffusersBitForBit) {
  ASSERT_GT(golden().cases["noise"].size(), 20U);
  for (const auto& one : golden().cases["noise"]) {
    const auto noise = initial_noise(one["seed"], size_of(one));
    ASSERT_TRUE(noise) << one;
    EXPECT_EQ(noise->sizes().vec(), one["size"].get<std::vector<std::int64_t>>());
    EXPECT_EQ(digest_of(*noise), one["sha256"]) << one;
  }
}

TEST(InitialNoiseTest, ASizeThatIsNoneIsAnError) {
  EXPECT_FALSE(initial_noise(1, {.channels = 16, .frames = 21, .height = -1, .width = 104}));
}

}  // namespace
}  // namespace kiln::lane
