// Sequences of images, in and out.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lane/media/image_sequence.h"
#include "lane/media/join_verify.h"
#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

namespace fs = std::filesystem;

class ImagesTest : public MediaLab {
 protected:
  void make_images(const std::string& pattern, int count, const std::string& format = "rgb24") const {
    make_clip(pattern, count, {"-pix_fmt", format});
  }
  void touch(const std::string& name) const { std::ofstream(path(name)) << "x"; }
};

TEST_F(ImagesTest, FolderPatternAndGlobNameTheSameFrames) {
  fs::create_directory(path("shot"));
  make_images("shot/it's a %d.png", 12);  // 1 … 12: names sort wrongly as plain text
  const ClipInfo folder = probe_ok(system_tools(), {path("shot")});
  const ClipInfo pattern = probe_ok(system_tools(), {path("shot/it's a %d.png")});
  const ClipInfo glob = probe_ok(system_tools(), {path("shot/it*.png")});
  ASSERT_EQ(folder.frame_count(), 12);
  EXPECT_EQ(folder.image_files, pattern.image_files);
  EXPECT_EQ(folder.image_files, glob.image_files);
  EXPECT_EQ(folder.format.ffmpeg_name(), "rgb24");
  const auto whole = read_all(system_tools(), folder);
  const auto part = read_frames(system_tools(), folder, {4, 9});
  expect_same_frames(part, {whole.begin() + 4, whole.begin() + 9});
}

TEST_F(ImagesTest, PngToPngIsLossless) {
  make_images("in_%03d.png", 9);
  ClipSource source{path("in_%03d.png")};
  source.image_rate = {24000, 1001};
  const ClipInfo clip = probe_ok(system_tools(), source);
  EXPECT_EQ(clip.time_base, (Rational{1001, 24000}));
  auto report = round_trip(system_tools(), clip, path("out_%05d.png"), {Codec::kPng, Container::kImageSequence, 4});
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(fs::exists(path("out_00001.png")));
  const ClipInfo joined = probe_ok(system_tools(), {path("out_%05d.png")});
  expect_same_frames(read_all(system_tools(), clip), read_all(system_tools(), joined));
}

TEST_F(ImagesTest, ImagesBecomeAVideoAtTheirRate) {
  make_images("in_%03d.png", 9, "rgb48be");
  ClipSource source{path("in_%03d.png")};
  source.image_rate = {12, 1};
  const ClipInfo clip = probe_ok(system_tools(), source);
  EXPECT_EQ(clip.format.ffmpeg_name(), "rgb48le");
  auto report = round_trip(system_tools(), clip, path("out.mkv"), {Codec::kFfv1, Container::kMatroska, 4});
  ASSERT_TRUE(report) << report.error().message;
  const ClipInfo joined = probe_ok(system_tools(), {path("out.mkv")});
  expect_same_times(clip, joined);
  EXPECT_NEAR(joined.duration_s(), 0.75, 0.01);
}

TEST_F(ImagesTest, OnePictureIsAClipOfOneFrame) {
  make_images("one.png", 1);
  EXPECT_EQ(probe_ok(system_tools(), {path("one.png")}).frame_count(), 1);
}

TEST_F(ImagesTest, GapInTheNumbersIsRefused) {
  for (const char* name : {"f_0001.png", "f_0002.png", "f_0004.png"}) touch(name);
  auto files = list_images(path("f_%04d.png"));
  ASSERT_FALSE(files);
  EXPECT_EQ(exit_code(files.error()), 65);
  EXPECT_NE(files.error().message.find("3"), std::string::npos);
}

TEST_F(ImagesTest, NumbersOrderNumerically) {
  for (const char* name : {"b10.png", "b9.png", "a100.png", "notes.txt", ".hidden.png"}) touch(name);
  auto files = list_images(folder_);
  ASSERT_TRUE(files);
  EXPECT_EQ(*files, (std::vector<std::string>{path("a100.png"), path("b9.png"), path("b10.png")}));
}

TEST(ImageNameTest, NumberIsWrittenOnceWithItsWidth) {
  EXPECT_EQ(image_name("o_%06d.png", 7).value(), "o_000007.png");
  EXPECT_EQ(image_name("o_%d.png", 12).value(), "o_12.png");
  EXPECT_EQ(image_name("of%3d/100%/o_%03d.png", 7).value(), "of%3d/100%/o_007.png");
  EXPECT_FALSE(image_name("o.png", 1));
  EXPECT_FALSE(image_name("o_%s.png", 1));
  EXPECT_FALSE(image_name("o_%099999d.png", 1));
}

}  // namespace
}  // namespace kiln::lane
