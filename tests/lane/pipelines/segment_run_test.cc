#include "lane/pipelines/segment_run.h"

#include <gtest/gtest.h>

#include "lane/pipelines/frame_path.h"

namespace kiln::lane {
namespace {

SegmentSpec spec(std::int64_t first, std::int64_t last) {
  SegmentSpec out;
  out.range = {first, last, 1, 1, 1000};
  out.path = "segment.mov";
  return out;
}

TEST(SegmentPiecesTest, FollowEachOtherAndAreAlikeInLength) {
  for (const std::int64_t frames : {1, 23, 24, 47, 48, 49, 100, 101, 500}) {
    for (const std::size_t most : {1U, 2U, 3U, 8U}) {
      const auto pieces = cut_into_pieces(spec(10, 10 + frames), most);
      ASSERT_LE(pieces.size(), most);
      std::int64_t next = 10;
      for (const RunPiece& piece : pieces) {
        EXPECT_EQ(piece.range.first, next);
        EXPECT_EQ(piece.range.clip_frames, 1000);
        EXPECT_EQ(piece.run->pieces[piece.number].first_frame, next);
        next = piece.range.last;
        const std::int64_t length = piece.range.last - piece.range.first;
        EXPECT_NEAR(static_cast<double>(length), static_cast<double>(frames) / static_cast<double>(pieces.size()), 1.0);
        EXPECT_TRUE(pieces.size() == 1 || length >= kPieceFramesMin);
      }
      EXPECT_EQ(next, 10 + frames);
    }
  }
}

TEST(SegmentPiecesTest, AloneAPieceIsTheSegmentsFile) {
  EXPECT_EQ(cut_into_pieces(spec(0, 10), 8).front().path, "segment.mov");
  const auto pieces = cut_into_pieces(spec(0, 48), 8);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_NE(pieces[0].path, pieces[1].path);
}

TEST(SegmentPiecesTest, TimesAreAddedAndHashesFollowTheFrames) {
  const auto pieces = cut_into_pieces(spec(0, 48), 2);
  SegmentRun& run = *pieces[0].run;
  run.pieces[1].frame_hashes = "second";
  run.pieces[0].frame_hashes = "first";
  pieces[0].times().encode_s = 1.5;
  pieces[1].times().encode_s = 2.0;
  EXPECT_EQ(run.frame_hashes(), "firstsecond");
  EXPECT_EQ(run.times().encode_s, 3.5);
}

TEST(StageTimesTest, OfTheHostStandAsTheyAre) {
  StageTimes sums;
  sums.model_s = 8.0;
  sums.wait_decode_s = 1.0;
  sums.wait_encode_s = 2.0;
  const StageTimes shares = shares_of(sums, 12.0);
  EXPECT_EQ(shares.model_s, 8.0);
  EXPECT_EQ(shares.wait_decode_s, 1.0);
  EXPECT_EQ(shares.wait_encode_s, 2.0);
}

// Whoever fills a card's line waits nearly always; what counts is how long the card had nothing in it.
TEST(StageTimesTest, OfACardOnlyItsIdleTimeIsWaiting) {
  StageTimes sums;
  sums.card_s = 9.0;
  sums.wait_decode_s = 1.0;
  sums.wait_encode_s = 8.0;
  const StageTimes busy = shares_of(sums, 9.9);
  EXPECT_DOUBLE_EQ(busy.model_s, 9.0);
  EXPECT_NEAR(busy.wait_decode_s, 0.1, 1e-9);
  EXPECT_NEAR(busy.wait_encode_s, 0.8, 1e-9);
  EXPECT_EQ(shares_of(sums, 8.9).wait_encode_s, 0.0);  // clocks differ
  sums.card_s = 1.0;
  EXPECT_NEAR(shares_of(sums, 10.0).wait_encode_s, 8.0, 1e-9);
}

}  // namespace
}  // namespace kiln::lane
