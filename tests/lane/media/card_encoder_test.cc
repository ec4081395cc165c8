// A card's encoder that is none: an ffmpeg that lists h264_nvenc, and encodes with libx264 when it is asked for it. What is tried here
// is how encoders are found and told what to do; that a card does it is not.
#include "lane/media/card_encoder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/text.h"
#include "lane/media/encoder_trial.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using kiln::test::TempFolder;

constexpr PixelFormat k420{PixelLayout::kYuv420, 8, false};

// Options that libx264 has not go, with their values; others are translated.
constexpr const char* kPretender = R"sh(#!/bin/sh
case "$*" in
  *-encoders*) "$REAL" "$@" && echo " V....D h264_nvenc           pretended (codec h264)"; exit ;;
  *encoder=h264_nvenc*) echo "Encoder h264_nvenc"; echo "    Supported pixel formats: yuv420p p010le"; exit ;;
esac
pretend=no
count=$#
while [ $count -gt 0 ]; do
  word=$1; shift; count=$((count - 1))
  case $word in
    h264_nvenc) pretend=yes; word=libx264 ;;
    -cq) word=-crf ;;
    -tune|-rc|-b:v|-bf|-forced-idr) shift; count=$((count - 1)); continue ;;
    p[1-7]) word=ultrafast ;;
    yuv444p) [ $pretend = no ] || exit 1 ;;
  esac
  set -- "$@" "$word"
done
case "$*" in *"/dev/zero"*) echo "$@" >> "$STARTS"; case "$*" in *"-pix_fmt yuv444p"*) exit 1 ;; esac ;; esac
exec "$REAL" "$@"
)sh";

class CardEncoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const MediaTools& real = test::tools();
    const std::string program = folder_ / "ffmpeg";
    std::ofstream(program) << std::string(kPretender).insert(10, "REAL='" + real.ffmpeg_path + "' STARTS='" + (folder_ / "starts") + "'\n");
    ::chmod(program.c_str(), 0755);
    std::filesystem::create_symlink(real.ffprobe_path, folder_ / "ffprobe");
    MediaToolsSearch search;
    search.ffmpeg = program;
    auto found = find_media_tools(search);
    ASSERT_TRUE(found) << found.error().message;
    tools_ = std::move(*found);
    ASSERT_TRUE(tools_.has_encoder("h264_nvenc"));
    // Those may be listed by the real one, which would then be asked.
    std::erase_if(tools_.encoders, [](const std::string& name) { return name == "hevc_nvenc" || name == "av1_nvenc"; });
  }

  [[nodiscard]] std::size_t starts() const {
    const auto text = read_file(folder_ / "starts", 1U << 20U);
    return text ? split(trim(*text), '\n').size() : 0;
  }
  [[nodiscard]] OutputRequest request(const ClipInfo& clip, Codec codec = Codec::kH264) const {
    OutputRequest out = test::request_for(clip, codec, Container::kMatroska);
    out.encoder = "h264_nvenc";
    out.preset.clear();
    out.quality = -1;
    return out;
  }

  TempFolder folder_;
  MediaTools tools_;
};

TEST_F(CardEncoderTest, EncodersThatAreListedAreTriedInEachFormat) {
  EXPECT_EQ(try_encoders(tools_), std::vector<std::string>{"h264_nvenc yuv420p"});
  EXPECT_EQ(starts(), 2U);
}

TEST_F(CardEncoderTest, WhatWasFoundIsKeptForOneCardOneDriverAndOneFfmpeg) {
  const std::string kept = folder_ / "GPU-1.encoders";
  const std::vector<std::string> found{"h264_nvenc yuv420p"};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(encoders_of_card(tools_, kept, "GPU-1 driver 1"), found);
  EXPECT_EQ(starts(), 2U);
  EXPECT_EQ(encoders_of_card(tools_, kept, "GPU-1 driver 2"), found);
  EXPECT_EQ(starts(), 4U);
  MediaTools other = tools_;
  other.identity = "another build";
  EXPECT_EQ(encoders_of_card(other, kept, "GPU-1 driver 2"), found);
  EXPECT_EQ(starts(), 6U);
}

TEST_F(CardEncoderTest, NothingIsTriedWhereNothingIsListed) {
  MediaTools plain = tools_;
  std::erase_if(plain.encoders, [](const std::string& name) { return name.ends_with("_nvenc"); });
  EXPECT_TRUE(try_encoders(plain).empty());
  EXPECT_EQ(starts(), 0U);
}

TEST_F(CardEncoderTest, SegmentsAreEncodedWithWhatTheOutputSays) {
  const ClipInfo clip = test::synthetic_clip(192, 128, k420, {1, 1000}, test::irregular_times(20));
  const auto settings = plan_encoder(tools_, clip, request(clip));
  ASSERT_TRUE(settings) << settings.error().message;
  const auto& words = settings->arguments;
  const auto has = [&](const std::string& name, const std::string& value) {
    const auto found = std::find(words.begin(), words.end(), name);
    return found != words.end() && std::next(found) != words.end() && *std::next(found) == value;
  };
  EXPECT_TRUE(has("-c:v", "h264_nvenc"));
  EXPECT_TRUE(has("-preset", "p5"));
  EXPECT_TRUE(has("-cq", "17"));
  EXPECT_TRUE(has("-pix_fmt", "yuv420p"));
  auto writer = SegmentWriter::open(tools_, *settings, folder_ / "segment");
  ASSERT_TRUE(writer) << writer.error().message;
  const test::Bytes frame(k420.frame_bytes(192, 128), std::byte{100});
  for (const auto& one : clip.frames) ASSERT_TRUE(writer->write(one.pts, frame));
  const auto summary = writer->finish();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(test::packet_times_s(folder_ / "segment", "v:0").size(), clip.frames.size());
}

TEST_F(CardEncoderTest, WhatACardDoesNotEncodeIsRefused) {
  const ClipInfo clip = test::synthetic_clip(192, 128, k420, {1, 1000}, test::irregular_times(4));
  EXPECT_FALSE(plan_encoder(tools_, clip, request(clip, Codec::kHevc)));  // its name is H.264's
  OutputRequest asked = request(clip);
  asked.preset = "fast";
  const auto preset = plan_encoder(tools_, clip, asked);
  ASSERT_FALSE(preset);
  EXPECT_EQ(preset.error().message, "preset 'fast' of h264_nvenc: it goes from p1 to p7");
  MediaTools plain = tools_;
  std::erase(plain.encoders, "h264_nvenc");
  EXPECT_FALSE(plan_encoder(plain, clip, request(clip)));
  const auto software = plan_encoder(test::tools(), clip, test::request_for(clip, Codec::kH264, Container::kMatroska));
  const auto card = plan_encoder(tools_, clip, request(clip));
  ASSERT_TRUE(software && card);
  EXPECT_NE(software->digest, card->digest);
}

}  // namespace
}  // namespace kiln::lane
