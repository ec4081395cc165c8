// Static HDR10 metadata from a real clip into real outputs, by way of encoders and containers.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "lane/media/hdr_probe.h"
#include "tests/lane/media/media_lab.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

const HdrMetadata kGraded{MasteringDisplay{{34000, 16000}, {13250, 34500}, {7500, 3000}, {15635, 16450}, 10000000, 50},
                          ContentLight{1000, 400}};

bool any_has(const std::vector<std::string>& lines, const std::string& words) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(words) != std::string::npos; });
}

class HdrTest : public MediaLab {
 protected:
  // x265 writes it into the stream; this muxer writes none of it into the container.
  std::string make_hdr_clip() const {
    return make_clip("hdr.mkv", 5,
                     {"-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                      "log-level=error:pools=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
                      "L(10000000,50):max-cll=1000,400",
                      "-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"},
                     "96x64");
  }
  // A program in place of ffprobe.
  MediaTools answering(const std::string& json) const {
    MediaTools fake = system_tools();
    fake.ffprobe_path = path("ffprobe");
    std::ofstream(fake.ffprobe_path) << "#!/bin/sh\ncat <<'END'\n" << json << "\nEND\n";
    ::chmod(fake.ffprobe_path.c_str(), 0755);
    return fake;
  }
};

TEST_F(HdrTest, EveryCodecAndContainerThatHasAPlaceForItKeepsIt) {
  const ClipInfo clip = probe_ok(system_tools(), {make_hdr_clip()});
  ASSERT_EQ(clip.hdr, kGraded);
  EXPECT_TRUE(clip.warnings.empty());
  for (const auto& [codec, container] : std::vector<std::pair<Codec, Container>>{{Codec::kHevc, Container::kMp4},
                                                                                 {Codec::kHevc, Container::kMatroska},
                                                                                 {Codec::kAv1, Container::kMp4},
                                                                                 {Codec::kH264, Container::kMp4},
                                                                                 {Codec::kFfv1, Container::kMatroska},
                                                                                 {Codec::kProres, Container::kMov}}) {
    const kiln::test::TempFolder folder;
    const auto joined = test::render(folder, clip, test::request_for(clip, codec, container), 3);
    const std::string what = fmt::format("{} in {}", to_string(codec), to_string(container));
    ASSERT_TRUE(joined) << what << ": " << joined.error().message;
    EXPECT_TRUE(joined->report.warnings.empty()) << what << ": " << joined->report.warnings[0];
    EXPECT_EQ(probe_ok(system_tools(), {joined->path}).hdr, kGraded) << what;
    // The container says it too, so that a player knows before it decodes.
    EXPECT_EQ(test::stream_field(joined->path, "v:0", "stream_side_data=max_content"), "1000") << what;
    EXPECT_EQ(test::stream_field(joined->path, "v:0", "stream_side_data=white_point_x").empty(), false) << what;
  }
}

// NUT has no place for it, so what is read there was written by the encoder.
TEST_F(HdrTest, StreamsCarryItThemselves) {
  const ClipInfo clip = probe_ok(system_tools(), {make_hdr_clip()});
  for (const Codec codec : {Codec::kHevc, Codec::kAv1}) {
    const kiln::test::TempFolder folder;
    const auto joined = test::render(folder, clip, test::request_for(clip, codec, Container::kNut), 3);
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_EQ(test::stream_field(joined->path, "v:0", "stream_side_data=max_content"), "");
    EXPECT_EQ(probe_ok(system_tools(), {joined->path}).hdr, kGraded) << to_string(codec);
    EXPECT_TRUE(joined->report.warnings.empty());
  }
}

TEST_F(HdrTest, WhereItIsLostTheReportSaysSo) {
  ClipInfo clip = probe_ok(system_tools(), {make_hdr_clip()});
  const kiln::test::TempFolder folder;
  auto joined = test::render(folder, clip, test::request_for(clip, Codec::kFfv1, Container::kNut), 5);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_TRUE(any_has(joined->report.warnings, "HDR10"));
  joined = test::render(folder, clip, test::request_for(clip, Codec::kPng, Container::kImageSequence), 5);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_TRUE(any_has(joined->report.warnings, "HDR10"));
}

TEST_F(HdrTest, TheStaticBuildKeepsItToo) {
  if (static_tools() == nullptr) GTEST_SKIP() << "no static ffmpeg: set KILN_STATIC_FFMPEG, or run the set-up";
  const ClipInfo clip = probe_ok(*static_tools(), {make_hdr_clip()});
  ASSERT_EQ(clip.hdr, kGraded);
  // Its x265 has 8 bits only.
  for (const auto& [codec, container] : std::vector<std::pair<Codec, Container>>{{Codec::kAv1, Container::kMp4},
                                                                                 {Codec::kAv1, Container::kNut},
                                                                                 {Codec::kFfv1, Container::kMatroska},
                                                                                 {Codec::kH264, Container::kNut}}) {
    const std::string output = path("out.part");
    auto report = round_trip(*static_tools(), clip, output, {codec, container, 3});
    ASSERT_TRUE(report) << to_string(codec) << ": " << report.error().message;
    // Debian's ffmpeg does not read it out of H.264, nor the static one out of AV1.
    const MediaTools& reader = codec == Codec::kH264 ? *static_tools() : system_tools();
    EXPECT_EQ(probe_ok(reader, {output}).hdr, kGraded) << to_string(codec) << " " << to_string(container);
  }
}

TEST_F(HdrTest, ClipsOfStandardRangeAreNotAskedTwice) {
  MediaTools none = system_tools();
  none.ffprobe_path = path("nowhere");
  ClipInfo clip;
  clip.color.transfer = ColorTransfer::kBt709;
  EXPECT_TRUE(probe_hdr(none, false, clip));
  clip.color.transfer = ColorTransfer::kPq;
  EXPECT_FALSE(probe_hdr(none, false, clip));
}

TEST_F(HdrTest, WhatChangesWithTheSceneIsNamedAsLeftOut) {
  const MediaTools fake = answering(R"json({
    "streams": [{"side_data_list": [{"side_data_type": "DOVI configuration record"}]}],
    "frames": [{}, {"side_data_list": [{"side_data_type": "HDR Dynamic Metadata SMPTE2094-40 (HDR10+)"},
      {"side_data_type": "Content light level metadata", "max_content": 700, "max_average": 80}]}]})json");
  ClipInfo clip;
  ASSERT_TRUE(probe_hdr(fake, true, clip));
  EXPECT_EQ(clip.hdr, (HdrMetadata{std::nullopt, ContentLight{700, 80}}));
  EXPECT_TRUE(any_has(clip.warnings, "Dolby Vision"));
  EXPECT_TRUE(any_has(clip.warnings, "HDR10+"));
}

TEST_F(HdrTest, ValuesThatMakeNoSenseAreNotPassedOn) {
  const MediaTools fake = answering(R"({"streams": [{"side_data_list": [
      {"side_data_type": "Mastering display metadata", "red_x": "-3/2", "max_luminance": "1000/1"},
      {"side_data_type": "Content light level metadata", "max_content": 70000, "max_average": -1}, 7]}],
      "frames": 3})");
  ClipInfo clip;
  ASSERT_TRUE(probe_hdr(fake, true, clip));
  EXPECT_TRUE(clip.hdr.empty());
  EXPECT_TRUE(any_has(clip.warnings, "makes no sense"));
  ASSERT_TRUE(probe_hdr(answering("no JSON"), true, clip));
  ClipInfo dark;
  const MediaTools darker = answering(R"({"streams": [{"side_data_list": [
      {"side_data_type": "Mastering display metadata", "min_luminance": "5/1", "max_luminance": "1/1"}]}]})");
  ASSERT_TRUE(probe_hdr(darker, true, dark));
  EXPECT_TRUE(dark.hdr.empty());
}

}  // namespace
}  // namespace kiln::lane
