// Weights that come by a delivery are those that are copied one by one.
#include "lane/engine/network_weights.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lane/engine/fixture.h"

namespace kiln::lane {
namespace {

// Into plain memory; fails when it is told to.
class PlainDelivery final : public WeightDelivery {
 public:
  Status deliver(std::span<const Target> targets) override {
    if (fails) return fail(make_error(ErrorCode::kUnavailable, "the card is lost"));
    for (const Target& target : targets) {
      std::copy(target.host.begin(), target.host.end(), target.device);
      bytes += target.host.size();
    }
    return {};
  }
  bool fails = false;
  std::uint64_t bytes = 0;
};

class DeliveredWeightsTest : public ::testing::TestWithParam<sharding::GraphDtype> {
 protected:
  Result<std::vector<at::Tensor>> load(WeightDelivery* delivery) const {
    return load_weights(fixture_.manifest, fixture_.manifest.graphs[0].component, fixture_.weights.bytes(), GetParam(), "cpu", delivery);
  }
  Fixture fixture_ = load_fixture("compact");
};

TEST_P(DeliveredWeightsTest, AreThoseThatAreCopiedOneByOne) {
  PlainDelivery delivery;
  const auto delivered = load(&delivery);
  ASSERT_TRUE(delivered) << delivered.error().message;
  const auto copied = load(nullptr).value();
  ASSERT_EQ(delivered->size(), copied.size());
  for (std::size_t i = 0; i < copied.size(); ++i) {
    EXPECT_EQ(spec_of((*delivered)[i]), spec_of(copied[i])) << i;
    EXPECT_TRUE(at::equal((*delivered)[i], copied[i])) << i;
  }
  EXPECT_GT(delivery.bytes, 0U);
}

TEST_P(DeliveredWeightsTest, ThatDoNotArriveAreAnError) {
  PlainDelivery delivery;
  delivery.fails = true;
  const auto delivered = load(&delivery);
  ASSERT_FALSE(delivered);
  EXPECT_EQ(delivered.error().message, "the card is lost");
}

INSTANTIATE_TEST_SUITE_P(Dtypes, DeliveredWeightsTest, ::testing::Values(sharding::GraphDtype::kFloat32, sharding::GraphDtype::kFloat16));

}  // namespace
}  // namespace kiln::lane
