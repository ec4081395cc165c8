// Without a driver no kernels load, whoever made them: what is looked at here is who waits for whom.
#include "lane/gpu/kernel_supply.h"

#include <gtest/gtest.h>

#include <thread>

#include "lane/gpu/cuda_driver.h"

namespace kiln::lane {
namespace {

using Clock = std::chrono::steady_clock;

class KernelSupplyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (CudaDriver::open()) GTEST_SKIP() << "a driver is here; tests/gpu looks at the rest";
  }
  void expect_no_driver() {
    const auto module = supply_.module();
    ASSERT_FALSE(module);
    EXPECT_EQ(module.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(module.error().message.find("no NVIDIA driver"), std::string::npos) << module.error().message;
    EXPECT_FALSE(supply_.compiled_here());
  }

  KernelSupply supply_;
};

TEST_F(KernelSupplyTest, NobodyIsWaitedForWhoWasNotAsked) {
  const auto begun = Clock::now();
  expect_no_driver();
  EXPECT_LT(Clock::now() - begun, kKernelAnswerDeadline);
}

TEST_F(KernelSupplyTest, AnAnswerThatIsDueIsWaitedForAndNotForever) {
  supply_.expect("sm_90");
  const auto begun = Clock::now();
  expect_no_driver();
  EXPECT_GE(Clock::now() - begun, kKernelAnswerDeadline);
}

TEST_F(KernelSupplyTest, AnAnswerEndsTheWait) {
  for (const bool any : {false, true}) {
    supply_.expect("sm_90");
    const auto begun = Clock::now();
    std::thread worker([&] { any ? supply_.offer("a cubin") : supply_.offer_none(); });
    expect_no_driver();
    worker.join();
    EXPECT_LT(Clock::now() - begun, kKernelAnswerDeadline);
  }
}

}  // namespace
}  // namespace kiln::lane
