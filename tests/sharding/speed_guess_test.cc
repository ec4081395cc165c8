#include "sharding/speed_guess.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

LaneFit lane(double speed, double rate) {
  LaneFit out;
  out.frames_per_second = speed;
  out.matrix_rate = rate;
  return out;
}

TEST(SpeedGuessTest, AsFastAsThoseThatHaveRenderedByTheirCards) {
  std::vector<LaneFit> lanes{lane(200, 700), lane(0, 350), lane(0, 0), lane(3, 0)};
  guess_speeds(lanes);
  EXPECT_DOUBLE_EQ(lanes[0].frames_per_second, 200.0);
  EXPECT_DOUBLE_EQ(lanes[1].frames_per_second, 100.0);
  EXPECT_EQ(lanes[2].frames_per_second, 0.0);  // counts as the others' mean
  EXPECT_EQ(lanes[3].frames_per_second, 3.0);
}

TEST(SpeedGuessTest, ByTheirCardsAloneWhereNobodyHas) {
  std::vector<LaneFit> lanes{lane(0, 600), lane(0, 200)};
  guess_speeds(lanes);
  EXPECT_DOUBLE_EQ(lanes[0].frames_per_second, 1.5);
  EXPECT_DOUBLE_EQ(lanes[1].frames_per_second, 0.5);
}

TEST(SpeedGuessTest, NothingIsGuessedFromLanesWithoutACard) {
  std::vector<LaneFit> lanes{lane(2, 0), lane(0, 600)};
  guess_speeds(lanes);
  EXPECT_EQ(lanes[1].frames_per_second, 0.0);
  std::vector<LaneFit> plain{lane(0, 0), lane(0, 0)};
  guess_speeds(plain);
  EXPECT_EQ(plain[0].frames_per_second, 0.0);
}

TEST(SpeedGuessTest, TheFasterCardsRenderTheFirstClip) {
  ClipPlacementRequest request;
  request.lanes = {lane(0, 60), lane(0, 60), lane(0, 700)};
  for (LaneFit& fit : request.lanes) fit.budget_bytes = 1U << 20U;
  request.lanes[2].kind = 1;
  request.offers = {{1000, 1000}};
  EXPECT_EQ(place_clip(request, nullptr)->kind, 0);  // two against one
  guess_speeds(request.lanes);
  EXPECT_EQ(place_clip(request, nullptr)->kind, 1);
}

}  // namespace
}  // namespace kiln::sharding
