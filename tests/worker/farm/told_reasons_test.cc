#include "worker/told_reasons.h"

#include <gtest/gtest.h>

namespace kiln::worker {
namespace {

TEST(ToldReasonsTest, ReasonsThatComeInTurnsAreToldOnceEachUntilThereIsAConnection) {
  ToldReasons reasons;
  EXPECT_FALSE(reasons.is_new(""));
  EXPECT_TRUE(reasons.is_new("asks for a key"));
  EXPECT_TRUE(reasons.is_new("closed the connection"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(reasons.is_new("asks for a key"));
    EXPECT_FALSE(reasons.is_new("closed the connection"));
  }
  reasons.clear();
  EXPECT_TRUE(reasons.is_new("closed the connection"));
}

TEST(ToldReasonsTest, BeyondTheBoundNothingIsTold) {
  ToldReasons reasons;
  for (std::size_t i = 0; i < kToldReasonsMax; ++i) EXPECT_TRUE(reasons.is_new(std::to_string(i)));
  EXPECT_EQ(reasons.untold(), 0U);
  EXPECT_FALSE(reasons.is_new("one more"));
  EXPECT_FALSE(reasons.is_new("0"));  // it was told
  EXPECT_EQ(reasons.untold(), 1U);
}

}  // namespace
}  // namespace kiln::worker
