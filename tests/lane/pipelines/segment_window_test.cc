#include "lane/core/segment_window.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kiln::lane {
namespace {

using Frames = std::vector<std::int64_t>;

TEST(SegmentWindowTest, WithoutNeighboursEachFrameIsReadyWhenItArrives) {
  SegmentWindow window({.first = 3, .last = 5, .frames_before = 0, .frames_after = 0, .clip_frames = 9});
  EXPECT_EQ(window.read_first(), 3);
  EXPECT_EQ(window.read_end(), 5);
  EXPECT_EQ(window.ready(2), std::nullopt);
  EXPECT_EQ(window.ready(3), 3);
  window.advance();
  EXPECT_EQ(window.ready(3), std::nullopt);
  EXPECT_EQ(window.ready(4), 4);
  window.advance();
  EXPECT_TRUE(window.complete());
  EXPECT_EQ(window.ready(8), std::nullopt);
}

TEST(SegmentWindowTest, NeighboursAreReadBeyondTheSegmentAndRepeatedAtTheClipsEnds) {
  SegmentWindow first({.first = 0, .last = 4, .frames_before = 2, .frames_after = 1, .clip_frames = 6});
  EXPECT_EQ(first.read_first(), 0);
  EXPECT_EQ(first.read_end(), 5);
  EXPECT_EQ(first.inputs(0), (Frames{0, 0, 0, 1}));
  EXPECT_EQ(first.inputs(3), (Frames{1, 2, 3, 4}));
  SegmentWindow last({.first = 4, .last = 6, .frames_before = 2, .frames_after = 1, .clip_frames = 6});
  EXPECT_EQ(last.read_first(), 2);
  EXPECT_EQ(last.read_end(), 6);
  EXPECT_EQ(last.inputs(5), (Frames{3, 4, 5, 5}));
  EXPECT_EQ(last.ready(4), std::nullopt);
  EXPECT_EQ(last.ready(5), 4);
  EXPECT_EQ(last.oldest_needed(), 2);
}

// However a clip is cut, every output frame sees the same inputs.
TEST(SegmentWindowTest, InputsDoNotDependOnWhereTheClipIsCut) {
  constexpr std::int64_t kFrames = 11;
  for (std::int64_t length = 1; length <= kFrames; ++length) {
    for (std::int64_t first = 0; first < kFrames; first += length) {
      const std::int64_t last = std::min(first + length, kFrames);
      const SegmentWindow part({first, last, 1, 2, kFrames});
      const SegmentWindow whole({0, kFrames, 1, 2, kFrames});
      for (std::int64_t frame = first; frame < last; ++frame) {
        ASSERT_EQ(part.inputs(frame), whole.inputs(frame)) << frame << " with segments of " << length;
        for (const std::int64_t needed : part.inputs(frame)) {
          ASSERT_GE(needed, part.read_first());
          ASSERT_LT(needed, part.read_end());
        }
      }
    }
  }
}

}  // namespace
}  // namespace kiln::lane
