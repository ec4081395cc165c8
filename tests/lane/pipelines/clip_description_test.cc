#include "lane/media/clip_description.h"

#include <gtest/gtest.h>

#include <random>

namespace kiln::lane {
namespace {

ClipInfo a_clip() {
  ClipInfo clip;
  clip.source.path = "a b.mkv";
  clip.source.image_rate = {30000, 1001};
  clip.container = "matroska,webm";
  clip.codec = "hevc";
  clip.stream_index = 2;
  clip.width = 321;
  clip.height = 181;
  clip.format = *PixelFormat::from_ffmpeg_name("yuv422p10le");
  clip.source_pixel_format = "yuv422p10le";
  clip.color = {ColorRange::kFull, ColorMatrix::kBt2020Ncl, ColorTransfer::kPq, ColorPrimaries::kBt2020,
                ChromaSiting::kTopLeft};
  clip.hdr.display = MasteringDisplay{{34000, 16000}, {13250, 34500}, {7500, 3000}, {15635, 16450}, 10000000, 50};
  clip.hdr.light = ContentLight{1000, 400};
  clip.sample_aspect = {32, 27};
  clip.display_matrix = DisplayMatrix{0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824};
  clip.frame_rate = {24000, 1001};
  clip.time_base = {1, 1000};
  clip.time_origin = -7;
  clip.frames = {{-5, 42, true}, {37, 41, false}, {78, 42, true}};
  clip.other_streams = {{1, StreamKind::kAudio, "flac", "eng", "", "s32", 24}, {3, StreamKind::kAttachment, "ttf", "", "a.ttf", "", 0, "font/ttf"}};
  clip.chapter_count = 4;
  clip.warnings = {"w"};
  return clip;
}

TEST(ClipDescriptionTest, EveryFieldSurvives) {
  const ClipInfo clip = a_clip();
  const auto decoded = decode_clip(encode_clip(clip));
  ASSERT_TRUE(decoded) << decoded.error().message;
  // Encoding covers all fields, so equal text is an equal clip.
  EXPECT_EQ(encode_clip(*decoded), encode_clip(clip));
  EXPECT_EQ(decoded->frames, clip.frames);
  EXPECT_EQ(decoded->color, clip.color);
  EXPECT_EQ(decoded->format, clip.format);
  EXPECT_EQ(decoded->hdr, clip.hdr);
  EXPECT_EQ(decoded->display_matrix, clip.display_matrix);
  EXPECT_EQ(decoded->other_streams.at(1).file_name, "a.ttf");
  EXPECT_EQ(decoded->other_streams.at(0).sample_format, "s32");
  EXPECT_EQ(decoded->other_streams.at(0).sample_bits, 24);
  EXPECT_EQ(decoded->other_streams.at(1).mime_type, "font/ttf");
  EXPECT_EQ(decoded->time_origin, -7);
}

// Names of files are bytes.
TEST(ClipDescriptionTest, NamesThatAreNoUtf8ComeBackAsTheyWere) {
  ClipInfo clip = a_clip();
  clip.source.path = "/a/caf\xe9.mkv";
  clip.image_files = {"ok.png", "\xff\xfe.png", "Stra\xc3\x9f" "e.png"};
  clip.other_streams.at(1).file_name = "\xe9.ttf";
  const auto decoded = decode_clip(encode_clip(clip));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->source.path, clip.source.path);
  EXPECT_EQ(decoded->image_files, clip.image_files);
  EXPECT_EQ(decoded->other_streams.at(1).file_name, clip.other_streams[1].file_name);
}

TEST(ClipDescriptionTest, WhatCannotBeRenderedIsRefused) {
  ClipInfo clip = a_clip();
  clip.frames.clear();
  EXPECT_FALSE(decode_clip(encode_clip(clip)));
  clip = a_clip();
  clip.frames[1].pts = clip.frames[2].pts;
  EXPECT_FALSE(decode_clip(encode_clip(clip)));
  clip = a_clip();
  clip.width = 0;
  EXPECT_FALSE(decode_clip(encode_clip(clip)));
}

TEST(ClipDescriptionTest, MutatedTextDecodesOrIsRefused) {
  const std::string text = encode_clip(a_clip());
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string mutated = text;
    mutated[random() % mutated.size()] = static_cast<char>(random());
    (void)decode_clip(mutated);
  }
  EXPECT_FALSE(decode_clip(""));
  EXPECT_FALSE(decode_clip("[]"));
}

}  // namespace
}  // namespace kiln::lane
