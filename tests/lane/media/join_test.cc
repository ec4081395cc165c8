// What travels beside the picture, and time at scale.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

// Times of a stream's packets in seconds.
std::vector<double> packet_times(const std::string& listing) {
  std::vector<double> times;
  std::size_t at = 0;
  while (at < listing.size()) {
    const auto end = std::min(listing.find('\n', at), listing.size());
    if (end > at) times.push_back(std::atof(listing.substr(at, end - at).c_str()));
    at = end + 1;
  }
  return times;
}

class JoinTest : public MediaLab, public ::testing::WithParamInterface<Container> {
 protected:
  // Two sound tracks that start late, subtitles, chapters, a font, titles.
  std::string make_rich_clip() const {
    std::ofstream(path("s.srt")) << "1\n00:00:00,100 --> 00:00:00,500\nHello\n\n2\n00:00:00,600 --> 00:00:01,000\nBye\n";
    std::ofstream(path("font.ttf")) << "not really a font";
    std::ofstream(path("m.txt")) << ";FFMETADATA1\ntitle=A title\nartist=Someone\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\n"
                                    "title=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Two\n";
    ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=64x48:r=30000/1001", "-itsoffset", "0.2", "-f", "lavfi", "-i",
            "sine=440:r=48000", "-itsoffset", "0.1", "-f", "lavfi", "-i", "sine=880:r=44100", "-i", "s.srt", "-i", "m.txt",
            "-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4", "-map_chapters", "4",
            "-t", "1", "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p", "-c:a",
            "aac", "-c:s", "srt", "-attach", "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font",
            "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-metadata:s:s:0", "language=fra",
            "rich.mkv"});
    return path("rich.mkv");
  }
};

TEST_P(JoinTest, SoundSubtitlesChaptersAndTitlesTravelAlong) {
  const Container container = GetParam();
  const ClipInfo clip = probe_ok(system_tools(), {make_rich_clip()});
  ASSERT_EQ(clip.chapter_count, 2);
  ASSERT_EQ(clip.other_streams.size(), 4U);
  const std::string output = path("out.part");
  auto report = round_trip(system_tools(), clip, output, {Codec::kH264, container, 7});
  ASSERT_TRUE(report) << report.error().message;
  const ClipInfo joined = probe_ok(system_tools(), {output});
  expect_same_times(clip, joined);
  EXPECT_EQ(joined.chapter_count, 2);
  std::vector<std::string> languages;
  for (const auto& stream : joined.other_streams) {
    if (stream.kind == StreamKind::kAudio || stream.kind == StreamKind::kSubtitle) languages.push_back(stream.language);
  }
  const bool subtitles = container != Container::kNut;
  ASSERT_EQ(languages.size(), subtitles ? 3U : 2U);
  EXPECT_EQ(languages[0], container == Container::kNut ? languages[0] : "eng");
  const std::string tags = ffprobe(output, "format_tags=title");
  EXPECT_NE(tags.find("A title"), std::string::npos) << tags;
  const bool attachment = std::any_of(joined.other_streams.begin(), joined.other_streams.end(),
                                      [](const auto& s) { return s.kind == StreamKind::kAttachment; });
  EXPECT_EQ(attachment, container == Container::kMatroska);
  if (!attachment) {
    EXPECT_FALSE(report->warnings.empty());
  }
  // Sound keeps its place: every packet within a tick of what it had.
  for (const char* track : {"a:0", "a:1"}) {
    auto before = packet_times(ffprobe(clip.source.path, "packet=pts_time", track));
    auto after = packet_times(ffprobe(output, "packet=pts_time", track));
    ASSERT_EQ(before.size(), after.size());
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before[i], after[i], 0.0011) << track << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Containers, JoinTest,
                         ::testing::Values(Container::kMatroska, Container::kMp4, Container::kMov, Container::kNut),
                         [](const auto& test) { return std::string(to_string(test.param)); });

using TimeTest = MediaLab;

// Encoder delay below zero and B-frames: the picture must not be shifted to make room.
TEST_F(TimeTest, SoundWithEncoderDelayLeavesThePictureWhereItWas) {
  ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-f", "lavfi", "-i", "sine=440:r=48000", "-t", "1", "-c:v",
          "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", "delay.mp4"});
  const ClipInfo clip = probe_ok(system_tools(), {path("delay.mp4")});
  for (const Container container : {Container::kMp4, Container::kMov, Container::kMatroska}) {
    const std::string output = path("out." + std::string(to_string(container)));
    auto report = round_trip(system_tools(), clip, output, {Codec::kH264, container, 7});
    ASSERT_TRUE(report) << report.error().message;
    const ClipInfo joined = probe_ok(system_tools(), {output});
    expect_same_times(clip, joined);
    const auto before = packet_times(ffprobe(clip.source.path, "packet=pts_time", "a:0"));
    const auto after = packet_times(ffprobe(output, "packet=pts_time", "a:0"));
    ASSERT_EQ(before.size(), after.size()) << to_string(container);
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before[i], after[i], 0.0011);
  }
}

TEST_F(TimeTest, DecodeTimesRiseAndNeverPassPresentation) {
  const std::string source = make_clip("b.mp4", 60, {"-c:v", "libx264", "-bf", "4", "-b_strategy", "0", "-g", "12", "-pix_fmt", "yuv420p"});
  const ClipInfo clip = probe_ok(system_tools(), {source});
  auto report = round_trip(system_tools(), clip, path("out.mp4"), {Codec::kH264, Container::kMp4, 11});
  ASSERT_TRUE(report) << report.error().message;
  const auto dts = packet_times(ffprobe(path("out.mp4"), "packet=dts_time", "v:0"));
  const auto pts = packet_times(ffprobe(path("out.mp4"), "packet=pts_time", "v:0"));
  for (std::size_t i = 0; i < dts.size(); ++i) {
    EXPECT_LE(dts[i], pts[i] + 1e-6);
    if (i > 0) {
      EXPECT_LT(dts[i - 1], dts[i]);
    }
  }
}

TEST_F(TimeTest, ClipThatStartsLateStartsLate) {
  const std::string source = make_clip("late.mkv", 20, {"-c:v", "libx264", "-pix_fmt", "yuv420p", "-output_ts_offset", "3.217"});
  const ClipInfo clip = probe_ok(system_tools(), {source});
  ASSERT_GT(clip.frames.front().pts, 3000);
  for (const Container container : {Container::kMp4, Container::kMatroska}) {
    auto report = round_trip(system_tools(), clip, path("out.part"), {Codec::kH264, container, 7});
    ASSERT_TRUE(report) << report.error().message;
    expect_same_times(clip, probe_ok(system_tools(), {path("out.part")}));
  }
}

TEST_F(TimeTest, EditListHidesFramesAndThoseStayHidden) {
  const std::string whole = make_clip("whole.mp4", 50, {"-c:v", "libx264", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p"}, "64x48", "25");
  // Copying from the middle of a group keeps the earlier frames, hidden by an edit list.
  ffmpeg({"-ss", "0.5", "-i", "whole.mp4", "-c", "copy", "cut.mp4"});
  const ClipInfo clip = probe_ok(system_tools(), {path("cut.mp4")});
  const auto frames = read_all(system_tools(), clip);
  const ClipInfo full = probe_ok(system_tools(), {whole});
  const auto all = read_all(system_tools(), full);
  ASSERT_LT(frames.size(), all.size());
  expect_same_frames(frames, {all.end() - static_cast<std::ptrdiff_t>(frames.size()), all.end()});
  auto report = round_trip(system_tools(), clip, path("out.mp4"), {Codec::kH264, Container::kMp4, 7});
  ASSERT_TRUE(report) << report.error().message;
  expect_same_times(clip, probe_ok(system_tools(), {path("out.mp4")}));
}

TEST_F(TimeTest, NegativeTimesAreReadWithTheRest) {
  make_clip("zero.mkv", 20, {"-c:v", "mpeg4", "-g", "5", "-pix_fmt", "yuv420p"});
  ffmpeg({"-i", "zero.mkv", "-c", "copy", "-avoid_negative_ts", "disabled", "-output_ts_offset", "-0.2", "neg.mkv"});
  const ClipInfo clip = probe_ok(system_tools(), {path("neg.mkv")});
  ASSERT_LT(clip.frames.front().pts, 0);
  const auto frames = read_all(system_tools(), clip);
  expect_same_frames(frames, read_all(system_tools(), probe_ok(system_tools(), {path("zero.mkv")})));
  const auto part = read_frames(system_tools(), clip, {11, 17});
  expect_same_frames(part, {frames.begin() + 11, frames.begin() + 17});
  auto report = round_trip(system_tools(), clip, path("out.mkv"), {Codec::kFfv1, Container::kMatroska, 7});
  ASSERT_TRUE(report) << report.error().message;
  expect_same_times(clip, probe_ok(system_tools(), {path("out.mkv")}));
}

TEST_F(TimeTest, SegmentsOfSevenFramesNeverDrift) {
  constexpr int kSegments = 40;
  const std::string source = make_clip("long.mp4", kSegments * 7, {"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}, "16x16");
  const ClipInfo clip = probe_ok(system_tools(), {source});
  auto report = round_trip(system_tools(), clip, path("out.mp4"), {Codec::kH264, Container::kMp4, 7});
  ASSERT_TRUE(report) << report.error().message;
  const ClipInfo joined = probe_ok(system_tools(), {path("out.mp4")});
  expect_same_times(clip, joined);
  EXPECT_EQ(joined.frames.back().pts * joined.time_base.num * clip.time_base.den,
            clip.frames.back().pts * clip.time_base.num * joined.time_base.den);
}

// Rotation, aspect and colour: what the picture is to look like, not what is coded.
TEST_F(TimeTest, RotationAspectAndColourSurvive) {
  make_clip("plain.mp4", 20, {"-vf", "setsar=32/27", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p10le",
                              "-color_range", "pc", "-colorspace", "bt2020nc", "-color_primaries", "bt2020",
                              "-color_trc", "smpte2084", "-chroma_sample_location", "topleft"});
  ffmpeg({"-i", "plain.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90", "turned.mp4"});
  const ClipInfo clip = probe_ok(system_tools(), {path("turned.mp4")});
  ASSERT_TRUE(clip.display_matrix);
  ASSERT_EQ(clip.sample_aspect, (Rational{32, 27}));
  ASSERT_EQ(clip.color.range, ColorRange::kFull);
  ASSERT_EQ(clip.color.siting, ChromaSiting::kTopLeft);
  for (const Codec codec : {Codec::kH264, Codec::kHevc, Codec::kFfv1}) {
    const Container container = codec == Codec::kFfv1 ? Container::kMatroska : Container::kMp4;
    auto report = round_trip(system_tools(), clip, path("out.part"), {codec, container, 7});
    ASSERT_TRUE(report) << report.error().message;
    const ClipInfo joined = probe_ok(system_tools(), {path("out.part")});
    ASSERT_TRUE(joined.display_matrix) << to_string(codec);
    for (const std::size_t place : {0U, 1U, 3U, 4U}) {  // Matroska keeps the turn, and needs no shift
      EXPECT_EQ((*joined.display_matrix)[place], (*clip.display_matrix)[place]) << to_string(codec);
    }
    EXPECT_EQ(joined.sample_aspect, clip.sample_aspect) << to_string(codec);
    EXPECT_EQ(joined.color.range, clip.color.range) << to_string(codec);
    EXPECT_EQ(joined.color.matrix, clip.color.matrix) << to_string(codec);
    EXPECT_EQ(joined.color.transfer, clip.color.transfer) << to_string(codec);
    EXPECT_EQ(joined.color.primaries, clip.color.primaries) << to_string(codec);
    if (codec != Codec::kFfv1) {
      EXPECT_EQ(joined.color.siting, clip.color.siting) << to_string(codec);
    } else {
      expect_same_frames(read_all(system_tools(), clip), read_all(system_tools(), joined));
    }
  }
}

}  // namespace
}  // namespace kiln::lane
