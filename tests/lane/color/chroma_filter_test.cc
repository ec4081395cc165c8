#include "lane/media/color/chroma_filter.h"

#include <gtest/gtest.h>

#include <numeric>

namespace kiln::lane {
namespace {

TEST(ChromaFilterTest, TapsSumToOneExactly) {
  for (int offset = 0; offset <= 2; ++offset) {
    for (int parity = 0; parity <= 1; ++parity) {
      const auto taps = doubling_filter(offset, parity).taps;
      EXPECT_EQ(std::accumulate(taps.begin(), taps.end(), 0.0F), 1.0F) << offset << parity;
    }
    const auto taps = halving_filter(offset).taps;
    EXPECT_EQ(std::accumulate(taps.begin(), taps.end(), 0.0F), 1.0F) << offset;
  }
}

TEST(ChromaFilterTest, ReproducesAStraightLineInThePhaseOfItsSiting) {
  for (int offset = 0; offset <= 2; ++offset) {
    for (int parity = 0; parity <= 1; ++parity) {
      const DoublingFilter filter = doubling_filter(offset, parity);
      double position =
          0.0;  // of the line y = c at the luma sample `parity`, chroma sample 0 being c = 0
      for (int k = 0; k < kDoublingTaps; ++k) {
        position += (filter.first + k) * double{filter.taps[static_cast<std::size_t>(k)]};
      }
      EXPECT_DOUBLE_EQ(position, (parity - offset / 2.0) / 2.0);
    }
    const HalvingFilter filter = halving_filter(offset);
    double position = 0.0;
    for (int k = 0; k < kHalvingTaps; ++k) {
      position += (filter.first + k) * double{filter.taps[static_cast<std::size_t>(k)]};
    }
    EXPECT_DOUBLE_EQ(position, offset / 2.0);
  }
}

TEST(ChromaFilterTest, HalvingRemovesWhatTheCoarseGridCannotHold) {
  for (int offset = 0; offset <= 2; ++offset) {
    const auto taps = halving_filter(offset).taps;
    double alternating = 0.0;
    for (std::size_t k = 0; k < taps.size(); ++k)
      alternating += (k % 2 == 0 ? 1.0 : -1.0) * double{taps[k]};
    EXPECT_NEAR(alternating, 0.0, 1e-7) << offset;
  }
}

TEST(ChromaFilterTest, CoSitedHalvingIsTheHalfBandFilter) {
  const HalvingFilter filter = halving_filter(0);
  const std::array<float, kHalvingTaps> wanted{0, -1, 0, 9, 16, 9, 0, -1};
  EXPECT_EQ(filter.first, -4);
  for (std::size_t k = 0; k < wanted.size(); ++k) EXPECT_EQ(filter.taps[k] * 32.0F, wanted[k]);
}

TEST(ChromaFilterTest, OffsetsFollowTheSitings) {
  const auto pair = [](ChromaSiting siting) {
    return std::pair(chroma_offset(siting).across, chroma_offset(siting).down);
  };
  EXPECT_EQ(pair(ChromaSiting::kLeft), std::pair(0, 1));
  EXPECT_EQ(pair(ChromaSiting::kCenter), std::pair(1, 1));
  EXPECT_EQ(pair(ChromaSiting::kTopLeft), std::pair(0, 0));
  EXPECT_EQ(pair(ChromaSiting::kTop), std::pair(1, 0));
  EXPECT_EQ(pair(ChromaSiting::kBottomLeft), std::pair(0, 2));
  EXPECT_EQ(pair(ChromaSiting::kBottom), std::pair(1, 2));
}

}  // namespace
}  // namespace kiln::lane
