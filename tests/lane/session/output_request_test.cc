#include "lane/output_request.h"

#include <gtest/gtest.h>

namespace kiln::lane {
namespace {

ClipInfo clip(int width, int height) {
  ClipInfo info;
  info.width = width;
  info.height = height;
  info.format = *PixelFormat::from_ffmpeg_name("yuv420p");
  return info;
}

OutputWish wish(std::int64_t width, std::int64_t height) {
  OutputWish wish;
  wish.output = "out.mp4";
  wish.width = width;
  wish.height = height;
  return wish;
}

TEST(OutputRequestTest, UntaggedClipThatGrowsPastTheGuessOfPlayersIsTagged) {
  const auto request = make_output_request(clip(320, 180), wish(1280, 720));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->color.matrix, ColorMatrix::kSmpte170m);
}

TEST(OutputRequestTest, UntaggedClipStaysUntaggedWherePlayersGuessTheSame) {
  for (const auto& [from, to] : {std::pair{180, 360}, {720, 1440}}) {
    const auto request = make_output_request(clip(from * 16 / 9, from), wish(to * 16 / 9, to));
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->color.matrix, ColorMatrix::kUnspecified);
  }
}

TEST(OutputRequestTest, TagsOfTheClipAreKept) {
  ClipInfo tagged = clip(320, 180);
  tagged.color.matrix = ColorMatrix::kBt2020Ncl;
  tagged.color.range = ColorRange::kFull;
  const auto request = make_output_request(tagged, wish(1280, 720));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->color.matrix, ColorMatrix::kBt2020Ncl);
  EXPECT_EQ(request->color.range, ColorRange::kFull);
}

}  // namespace
}  // namespace kiln::lane
