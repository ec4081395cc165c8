// The static ffmpeg of bundles: another version, fewer decoders and encoders, the same results.
#include <gtest/gtest.h>

#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

class StaticBuildTest : public MediaLab {
 protected:
  void SetUp() override {
    if (static_tools() == nullptr) GTEST_SKIP() << "no static ffmpeg: set KILN_STATIC_FFMPEG, or run the set-up";
  }
};

TEST_F(StaticBuildTest, ReadsWhatTheOtherReads) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> clips{
      {"a.mp4", {"-c:v", "libx264", "-bf", "3", "-g", "8", "-x264-params", "open-gop=1:scenecut=0", "-pix_fmt", "yuv420p"}},
      {"t.mkv", {"-c:v", "libx264", "-pix_fmt", "yuv422p10le", "-g", "9"}},
      {"h.mp4", {"-c:v", "libx265", "-x265-params", "open-gop=1:keyint=8:log-level=error", "-pix_fmt", "yuv420p10le"}},
      {"p.mov", {"-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"}},
      {"s.ts", {"-c:v", "libx264", "-g", "9", "-pix_fmt", "yuv420p"}},
      {"v.mkv", {"-vf", "settb=1/30000,setpts='N*1001+120*mod(N*N,7)'", "-fps_mode", "passthrough", "-enc_time_base",
                 "1/30000", "-c:v", "ffv1"}},
      {"m.avi", {"-c:v", "mpeg4", "-bf", "2"}},
  };
  for (const auto& [name, arguments] : clips) {
    const std::string source = make_clip(name, 30, arguments);
    const ClipInfo a = probe_ok(system_tools(), {source});
    const ClipInfo b = probe_ok(*static_tools(), {source});
    EXPECT_EQ(a.frames, b.frames) << name;
    EXPECT_EQ(a.color, b.color) << name;
    const auto whole = read_all(system_tools(), a);
    expect_same_frames(whole, read_all(*static_tools(), b));
    expect_same_frames(read_frames(*static_tools(), b, {11, 19}), {whole.begin() + 11, whole.begin() + 19});
  }
}

TEST_F(StaticBuildTest, WritesWhatTheOtherReads) {
  const std::string source = make_clip(
      "a.mp4", 30, {"-vf", "setsar=32/27", "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-color_range", "pc", "-colorspace",
                    "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-chroma_sample_location", "left"},
      "64x64");
  const ClipInfo clip = probe_ok(*static_tools(), {source});
  for (const auto& [codec, container] : std::vector<std::pair<Codec, Container>>{{Codec::kH264, Container::kMp4},
                                                                                 {Codec::kHevc, Container::kMp4},
                                                                                 {Codec::kAv1, Container::kMp4},
                                                                                 {Codec::kH264, Container::kMatroska},
                                                                                 {Codec::kFfv1, Container::kMatroska},
                                                                                 {Codec::kH264, Container::kMov},
                                                                                 {Codec::kFfv1, Container::kNut}}) {
    const std::string output = path("out.part");
    auto report = round_trip(*static_tools(), clip, output, {codec, container, 7});
    ASSERT_TRUE(report) << to_string(codec) << " " << to_string(container) << ": " << report.error().message;
    const ClipInfo joined = probe_ok(system_tools(), {output});
    expect_same_times(clip, joined);
    EXPECT_EQ(joined.sample_aspect, clip.sample_aspect) << to_string(codec);
    if (container != Container::kNut) {
      EXPECT_EQ(joined.color.range, clip.color.range) << to_string(codec);
      EXPECT_EQ(joined.color.matrix, clip.color.matrix) << to_string(codec);
    }
    if (codec == Codec::kFfv1) expect_same_frames(read_all(*static_tools(), clip), read_all(system_tools(), joined));
  }
}

TEST_F(StaticBuildTest, WhatItWasBuiltWithoutIsSaidPlainly) {
  auto png = check_encoder(*static_tools(), Codec::kPng);
  ASSERT_FALSE(png);
  EXPECT_NE(png.error().message.find("cannot encode png"), std::string::npos) << png.error().message;
  make_clip("a.mkv", 3, {"-c:v", "libsvtav1", "-crf", "40", "-preset", "10", "-pix_fmt", "yuv420p"}, "64x64");
  auto clip = probe_clip(*static_tools(), {path("a.mkv")});
  ASSERT_FALSE(clip);
  EXPECT_EQ(exit_code(clip.error()), 65);
  EXPECT_NE(clip.error().message.find("decoder for av1"), std::string::npos) << clip.error().message;
  EXPECT_TRUE(probe_clip(system_tools(), {path("a.mkv")}));
}

TEST_F(StaticBuildTest, IdentitiesDiffer) { EXPECT_NE(static_tools()->identity, system_tools().identity); }

}  // namespace
}  // namespace kiln::lane
