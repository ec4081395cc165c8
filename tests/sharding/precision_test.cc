#include "sharding/precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
constexpr GraphDtype kF32 = GraphDtype::kFloat32;
constexpr GraphDtype kF16 = GraphDtype::kFloat16;
constexpr GraphDtype kBf16 = GraphDtype::kBfloat16;
const std::vector<GraphDtype> kAll{kF32, kF16, kBf16};

TEST(PrecisionTest, ArchesAreReadAsTheirCapability) {
  EXPECT_EQ(compute_capability("sm_75"), 75);
  EXPECT_EQ(compute_capability("sm_120"), 120);
  for (const char* other : {"cpu", "", "sm_", "sm_9x", "sm_-90", "gfx1100", "sm90"}) {
    EXPECT_EQ(compute_capability(other), 0) << other;
  }
}

TEST(PrecisionTest, CardsWithMatrixUnitsPreferHalfTheBytes) {
  EXPECT_THAT(lane_dtypes("sm_90", Precision::kAuto, kAll), ElementsAre(kF16, kF32, kBf16));
  EXPECT_THAT(lane_dtypes("sm_75", Precision::kAuto, kAll), ElementsAre(kF16, kF32));
  EXPECT_THAT(lane_dtypes("sm_61", Precision::kAuto, kAll), ElementsAre(kF32));
  EXPECT_THAT(lane_dtypes("cpu", Precision::kAuto, kAll), ElementsAre(kF32));
}

TEST(PrecisionTest, ThePackageMayHaveFewer) {
  EXPECT_THAT(lane_dtypes("sm_90", Precision::kAuto, {kF32}), ElementsAre(kF32));
  EXPECT_THAT(lane_dtypes("sm_90", Precision::kAuto, {kBf16}), ElementsAre(kBf16));
  EXPECT_THAT(lane_dtypes("cpu", Precision::kAuto, {kF16}), IsEmpty());
  EXPECT_THAT(lane_dtypes("sm_90", Precision::kFloat16, {kF32}), IsEmpty());
}

TEST(PrecisionTest, WhatIsAskedForIsTakenOrNothing) {
  EXPECT_THAT(lane_dtypes("sm_90", Precision::kFloat32, kAll), ElementsAre(kF32));
  EXPECT_THAT(lane_dtypes("sm_90", Precision::kBfloat16, kAll), ElementsAre(kBf16));
  EXPECT_THAT(lane_dtypes("sm_75", Precision::kBfloat16, kAll), IsEmpty());
  EXPECT_THAT(lane_dtypes("cpu", Precision::kFloat16, kAll), IsEmpty());
}

TEST(PrecisionTest, NamesAreReadBack) {
  for (const Precision precision : {Precision::kAuto, Precision::kFloat32, Precision::kFloat16, Precision::kBfloat16}) {
    EXPECT_EQ(precision_from_string(to_string(precision)), precision);
  }
  EXPECT_FALSE(precision_from_string("fp16"));
}

}  // namespace
}  // namespace kiln::sharding
