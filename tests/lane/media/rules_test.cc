// The pure parts: what codecs hold, clocks, tables, names.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "lane/media/clip_index.h"
#include "lane/media/codec.h"
#include "lane/media/color_description.h"
#include "lane/media/join_streams.h"
#include "lane/media/mov_track.h"
#include "lane/media/output_clock.h"
#include "lane/media/rational.h"
#include "lane/media/sample_entry.h"

namespace kiln::lane {
namespace {

PixelFormat format(const char* name) { return PixelFormat::from_ffmpeg_name(name).value(); }

void expect_refused(Codec codec, Container container, const char* name, int width, int height, const char* words) {
  auto status = check_codec(codec, container, format(name), width, height);
  ASSERT_FALSE(status) << to_string(codec) << " " << name;
  EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
}

TEST(CheckCodecTest, WhatCanBeHeldIsAccepted) {
  EXPECT_TRUE(check_codec(Codec::kH264, Container::kMp4, format("yuv420p"), 1280, 720));
  EXPECT_TRUE(check_codec(Codec::kHevc, Container::kMp4, format("yuv420p10le"), 7680, 4320));
  EXPECT_TRUE(check_codec(Codec::kAv1, Container::kMatroska, format("yuv420p10le"), 1280, 720));
  EXPECT_TRUE(check_codec(Codec::kFfv1, Container::kMatroska, format("yuv420p"), 1279, 719));
  EXPECT_TRUE(check_codec(Codec::kH264, Container::kMp4, format("yuv444p"), 1279, 719));
  EXPECT_TRUE(check_codec(Codec::kProres, Container::kMov, format("yuv422p10le"), 1920, 1080));
  EXPECT_TRUE(check_codec(Codec::kPng, Container::kImageSequence, format("rgb24"), 33, 1));
}

TEST(CheckCodecTest, WhatCannotBeHeldIsRefusedWithWhatWorks) {
  expect_refused(Codec::kH264, Container::kMatroska, "yuv420p", 1279, 720, "what works: ffv1");
  expect_refused(Codec::kH264, Container::kMp4, "yuv420p", 1280, 719, "h264 as yuv422p");
  expect_refused(Codec::kH264, Container::kMp4, "yuv420p", 16384, 8192, "av1");
  expect_refused(Codec::kHevc, Container::kMp4, "yuv420p", 8192, 8192, "pixels a frame");
  expect_refused(Codec::kAv1, Container::kMp4, "yuv420p", 32, 32, "starts at 64x64");
  expect_refused(Codec::kAv1, Container::kMp4, "yuv422p", 64, 64, "h264");
  expect_refused(Codec::kAv1, Container::kMov, "yuv420p", 64, 64, "goes into mp4");
  expect_refused(Codec::kFfv1, Container::kMp4, "yuv420p", 64, 64, "goes into mkv");
  expect_refused(Codec::kProres, Container::kMov, "yuv420p", 64, 64, "prores as yuv422p10le");
  expect_refused(Codec::kPng, Container::kImageSequence, "yuv420p", 64, 64, "rgb24");
  expect_refused(Codec::kH264, Container::kImageSequence, "yuv420p", 64, 64, "goes into");
}

TEST(CheckCodecTest, NearestFormatKeepsDepthAndColour) {
  const auto nearest = [](Codec codec, const char* name) {
    return nearest_encodable_format(codec, format(name)).value().ffmpeg_name();
  };
  EXPECT_EQ(nearest(Codec::kH264, "yuv420p"), "yuv420p");
  EXPECT_EQ(nearest(Codec::kProres, "yuv420p"), "yuv422p10le");
  EXPECT_EQ(nearest(Codec::kProres, "yuv444p"), "yuv444p10le");
  EXPECT_EQ(nearest(Codec::kAv1, "yuv422p10le"), "yuv420p10le");
  EXPECT_EQ(nearest(Codec::kPng, "yuv420p"), "rgb24");
  EXPECT_EQ(nearest(Codec::kPng, "yuv420p10le"), "rgb48le");
  EXPECT_EQ(nearest(Codec::kPng, "gray"), "gray");
  EXPECT_EQ(nearest(Codec::kH264, "rgb24"), "yuv444p");
  EXPECT_EQ(nearest(Codec::kFfv1, "gbrp"), "rgb24");
}

TEST(ContainerTest, OutputsAreKnownByTheirNames) {
  EXPECT_EQ(container_of_output("a/b.MP4").value(), Container::kMp4);
  EXPECT_EQ(container_of_output("a.mkv").value(), Container::kMatroska);
  EXPECT_EQ(container_of_output("f/o_%04d.png").value(), Container::kImageSequence);
  EXPECT_FALSE(container_of_output("o.png"));
  EXPECT_FALSE(container_of_output("o.avi"));
  EXPECT_FALSE(container_of_output("o"));
}

TEST(PixelFormatTest, SizesAreThoseOfFfmpeg) {
  EXPECT_EQ(format("yuv420p").frame_bytes(3, 3), 9U + 2 * 4);
  EXPECT_EQ(format("yuv422p10le").frame_bytes(3, 3), 2U * (9 + 2 * 6));
  EXPECT_EQ(format("rgb24").frame_bytes(3, 3), 27U);
  EXPECT_EQ(format("gbrp10le").frame_bytes(3, 3), 54U);
  EXPECT_EQ(format("gray16le").frame_bytes(3, 3), 18U);
  EXPECT_EQ(format("yuv420p").plane_offset_bytes(2, 3, 3), 13U);
}

TEST(PixelFormatTest, ExoticFormatsHaveANativeNeighbour) {
  EXPECT_EQ(nearest_native_format("nv12")->format, format("yuv420p"));
  EXPECT_EQ(nearest_native_format("nv12")->what_changes, "");
  EXPECT_EQ(nearest_native_format("yuv420p10be")->format, format("yuv420p10le"));
  EXPECT_EQ(nearest_native_format("rgba")->what_changes, "alpha is dropped");
  EXPECT_EQ(nearest_native_format("yuvj420p")->format, format("yuv420p"));
  EXPECT_FALSE(nearest_native_format("vaapi"));
}

TEST(ColorTest, NamesOfFfmpegComeBack) {
  EXPECT_EQ(to_ffmpeg(color_matrix_from_ffmpeg("bt2020nc")), "bt2020nc");
  EXPECT_EQ(color_transfer_from_ffmpeg("arib-std-b67"), ColorTransfer::kHlg);
  EXPECT_EQ(color_primaries_from_ffmpeg("unknown"), ColorPrimaries::kUnspecified);
  EXPECT_EQ(color_range_from_ffmpeg(""), ColorRange::kUnspecified);
}

TEST(RationalTest, RescalingIsExactOrRoundsToNearest) {
  EXPECT_EQ(rescale(7, {1001, 30000}, {1, 30000}), 7007);
  EXPECT_EQ(rescale(1, {1001, 30000}, {1, 1000}), 33);
  EXPECT_EQ(rescale(-1, {1001, 30000}, {1, 1000}), -33);
  EXPECT_EQ(rescale(1, {1, 2}, {1, 1}), 1);
  EXPECT_EQ(rescale(-1, {1, 2}, {1, 1}), -1);
  EXPECT_EQ(rescale_exactly(1, {1, 2}, {1, 1}), std::nullopt);
  EXPECT_EQ(rescale(1LL << 62, {1 << 30, 1}, {1, 1 << 30}), std::nullopt);
  EXPECT_EQ(parse_rational("0/0"), std::nullopt);
  EXPECT_EQ(parse_rational("32:27"), (Rational{32, 27}));
}

TEST(OutputClockTest, TimescaleHoldsTheSourcesTicks) {
  EXPECT_EQ(output_timescale({1001, 30000}), 30000);
  EXPECT_EQ(output_timescale({1, 1000}) % 1000, 0);
  EXPECT_EQ(output_timescale({1, 90000}), 90000);
  EXPECT_EQ(output_timescale({1, 1'000'000'000}), 1'000'000);
}

TEST(OutputClockTest, DecodeTimesRiseAndStayBelowForAnyOrder) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::int64_t> pts;
    std::int64_t time = static_cast<std::int64_t>(random() % 5000) - 2500;
    const std::size_t count = 1 + random() % 60;
    while (pts.size() < count) {
      std::vector<std::int64_t> group;  // frames shown in order, decoded in any
      for (std::size_t i = 0; i < 1 + random() % 6; ++i) group.push_back(time += 1 + static_cast<int>(random() % 900));
      std::shuffle(group.begin(), group.end(), random);
      pts.insert(pts.end(), group.begin(), group.end());
    }
    const auto dts = decode_times(pts);
    for (std::size_t i = 0; i < pts.size(); ++i) {
      ASSERT_LE(dts[i], pts[i]);
      if (i > 0) {
        ASSERT_LT(dts[i - 1], dts[i]);
      }
    }
  }
}

TEST(PacketIndexTest, OrderOfTimeIsTheOrderOfFrames) {
  const auto packets = parse_packets(
      "pts=0|duration=10|flags=K__\npts=30|duration=10|flags=___\npts=10|duration=10|flags=___\n"
      "pts=20|duration=10|flags=___\nnonsense\n\npts=-10|duration=10|flags=_D_\n");
  ASSERT_EQ(packets.size(), 5U);
  const auto frames = frames_from(packets, 10);
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_EQ(frames[3], (ClipFrame{30, 10, false}));
  EXPECT_TRUE(frames[0].keyframe);
}

TEST(PacketIndexTest, PacketsThatDoNotTellAreNotTrusted) {
  EXPECT_TRUE(packets_tell_frames(parse_packets("pts=0|flags=K_\npts=2|flags=__\npts=1|flags=__")));
  EXPECT_FALSE(packets_tell_frames(parse_packets("pts=N/A|flags=K_\npts=2|flags=__")));
  EXPECT_FALSE(packets_tell_frames(parse_packets("pts=0|flags=K_\npts=0|flags=__")));
  EXPECT_FALSE(packets_tell_frames(parse_packets("pts=0|flags=__\npts=1|flags=K_")));
  EXPECT_FALSE(packets_tell_frames(parse_packets("pts=2|flags=K_\npts=1|flags=__\npts=3|flags=__")));
}

MovTrack small_track() {
  MovTrack track;
  track.timescale = 30000;
  // stsd with one entry of 86 bytes and a rate box that is to go.
  std::vector<std::byte> stsd(16 + 86 + 20);
  const auto put = [&](std::size_t at, std::initializer_list<int> bytes) {
    for (const int byte : bytes) stsd[at++] = static_cast<std::byte>(byte);
  };
  put(0, {0, 0, 0, 122, 's', 't', 's', 'd', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 106, 'F', 'F', 'V', '1'});
  put(102, {0, 0, 0, 20, 'b', 't', 'r', 't'});
  track.sample_description = stsd;
  for (int i = 0; i < 10; ++i) track.samples.push_back({0, static_cast<std::uint32_t>(100 + i), i * 1001, i * 1001 + (i % 3) * 1001, i == 0});
  return track;
}

TEST(MovTrackTest, WhatIsWrittenIsRead) {
  const MovTrack track = small_track();
  auto head = mov_head(track, {64, 48, std::nullopt}, 1001);
  ASSERT_TRUE(head) << head.error().message;
  // ftyp is 28 bytes, then moov.
  const std::size_t moov_bytes = head->size() - 28 - 16;
  auto read = parse_moov(std::span(*head).subspan(28 + 8, moov_bytes - 8), head->size() + 100000);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->samples.size(), track.samples.size());
  EXPECT_EQ(read->timescale, track.timescale);
  EXPECT_EQ(read->sample_description, track.sample_description);
  std::uint64_t offset = head->size();
  for (std::size_t i = 0; i < track.samples.size(); ++i) {
    EXPECT_EQ(read->samples[i].pts, track.samples[i].pts);
    EXPECT_EQ(read->samples[i].dts, track.samples[i].dts);
    EXPECT_EQ(read->samples[i].sync, track.samples[i].sync);
    EXPECT_EQ(read->samples[i].offset, offset);
    offset += read->samples[i].size;
  }
}

TEST(MovTrackTest, AnyDamageIsReadOrRefusedNeverFatal) {
  auto head = mov_head(small_track(), {64, 48, std::nullopt}, 1001);
  ASSERT_TRUE(head);
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> moov(head->begin() + 36, head->end() - 16);
    for (std::size_t i = 0; i < 1 + random() % 5; ++i) moov[random() % moov.size()] = static_cast<std::byte>(random());
    if (random() % 4 == 0) moov.resize(random() % moov.size());
    if (auto track = parse_moov(moov, 1U << 20U)) (void)normalised_description(track->sample_description, {});
  }
}

TEST(MovTrackTest, DescriptionLosesTheRateAndGainsTheColour) {
  ColorDescription color;
  color.range = ColorRange::kFull;
  color.matrix = ColorMatrix::kBt709;
  auto out = normalised_description(small_track().sample_description, color);
  ASSERT_TRUE(out);
  const std::string text(reinterpret_cast<const char*>(out->data()), out->size());
  EXPECT_EQ(text.find("btrt"), std::string::npos);
  EXPECT_NE(text.find("colrnclx"), std::string::npos);
  EXPECT_EQ(static_cast<unsigned char>(text.back()), 0x80);
}

TEST(StreamPlanTest, WhatTheContainerLacksIsConvertedOrLeftOutWithAWord) {
  ClipInfo clip;
  clip.source.path = "a.mkv";
  clip.other_streams = {{1, StreamKind::kAudio, "aac", "eng", ""},
                        {2, StreamKind::kAudio, "pcm_s16le", "", ""},
                        {3, StreamKind::kAudio, "vorbis", "", ""},
                        {4, StreamKind::kSubtitle, "ass", "", ""},
                        {5, StreamKind::kSubtitle, "hdmv_pgs_subtitle", "", ""},
                        {6, StreamKind::kAttachment, "ttf", "", "font.ttf"}};
  MediaTools tools;
  tools.encoders = {"aac", "alac", "mov_text"};
  tools.decoders = {"pcm_s16le", "vorbis"};
  const auto joined = [](const StreamPlan& plan) {
    std::string text;
    for (const auto& argument : plan.arguments) text += argument + " ";
    return text;
  };
  const StreamPlan mp4 = plan_streams(clip, Container::kMp4, tools);
  EXPECT_EQ(mp4.warnings.size(), 5U);
  for (const char* part : {"-c:a:0 copy", "-c:a:1 alac", "-c:a:2 aac", "-c:s:0 mov_text"}) {
    EXPECT_NE(joined(mp4).find(part), std::string::npos) << part << " in " << joined(mp4);
  }
  const StreamPlan mkv = plan_streams(clip, Container::kMatroska, tools);
  EXPECT_TRUE(mkv.warnings.empty());
  EXPECT_NE(joined(mkv).find("-map 1:6"), std::string::npos);
}

TEST(StreamPlanTest, SoundThatMatroskaLacksIsConvertedAndNoOtherContainerPraisedForIt) {
  ClipInfo clip;
  clip.source.path = "a.m2ts";
  clip.other_streams = {{1, StreamKind::kAudio, "pcm_bluray", "", "", "s32", 24},
                        {2, StreamKind::kAudio, "pcm_f32be", "", "", "flt", 0},
                        {3, StreamKind::kAudio, "nellymoser", "", "", "flt", 0},
                        {4, StreamKind::kAudio, "cook", "", "", "fltp", 0},
                        {5, StreamKind::kAudio, "", "", ""}};
  MediaTools tools;
  tools.encoders = {"aac", "flac", "pcm_f32le", "pcm_s24le"};
  tools.decoders = {"nellymoser", "pcm_bluray", "pcm_f32be"};
  const StreamPlan mkv = plan_streams(clip, Container::kMatroska, tools);
  const std::string arguments = fmt::format("{}", fmt::join(mkv.arguments, " "));
  for (const char* part : {"-c:a:0 pcm_s24le", "-c:a:1 pcm_f32le", "-c:a:2 flac"}) {
    EXPECT_NE(arguments.find(part), std::string::npos) << part << " in " << arguments;
  }
  EXPECT_EQ(arguments.find("-map 1:4"), std::string::npos);
  ASSERT_EQ(mkv.warnings.size(), 5U);
  const StreamPlan mov = plan_streams(clip, Container::kMov, tools);
  for (const StreamPlan* plan : {&mkv, &mov}) {
    for (const auto& warning : plan->warnings) EXPECT_EQ(warning.find(".mkv"), std::string::npos) << warning;
  }
}

}  // namespace
}  // namespace kiln::lane
