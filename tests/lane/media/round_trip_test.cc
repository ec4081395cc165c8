// Real clips through real ffmpeg: decoded, encoded in segments, joined, and looked at again.
#include <gtest/gtest.h>

#include <random>

#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

struct TripCase {
  std::string name;
  std::vector<std::string> arguments;
  std::string file;
  int frames = 20;

  friend void PrintTo(const TripCase& c, std::ostream* out) { *out << c.name; }
};

class RoundTripTest : public MediaLab, public ::testing::WithParamInterface<TripCase> {};

std::vector<TripCase> trip_cases() {
  const std::vector<std::string> x264{"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"};
  const auto with = [](std::vector<std::string> base, std::vector<std::string> more) {
    base.insert(base.end(), more.begin(), more.end());
    return base;
  };
  const std::vector<std::string> vfr{"-vf", "settb=1/30000,setpts='N*1001+120*mod(N*N,7)'", "-fps_mode", "passthrough",
                                     "-enc_time_base", "1/30000"};
  return {
      {"Mp4Cfr2997", with(x264, {"-g", "9"}), "a.mp4"},
      {"MkvCfr2997", with(x264, {"-g", "9"}), "a.mkv"},
      {"MovCfr2997", with(x264, {"-g", "9"}), "a.mov"},
      {"NutCfr2997", with(x264, {"-g", "9"}), "a.nut"},
      {"TransportStream", with(x264, {"-g", "9"}), "a.ts"},
      {"VariableRateMp4", with(with(x264, {"-bf", "3", "-g", "12"}), vfr), "v.mp4", 30},
      {"VariableRateMkv", with(with(x264, {"-bf", "3", "-g", "12"}), vfr), "v.mkv", 30},
      {"OpenGroupsX264", with(x264, {"-bf", "3", "-g", "8", "-x264-params", "open-gop=1:scenecut=0"}), "o.mp4", 40},
      {"OpenGroupsX265",
       {"-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params",
        "open-gop=1:keyint=8:min-keyint=8:bframes=3:log-level=error"},
       "o5.mkv", 40},
      {"IntraRefresh", with(x264, {"-g", "10", "-x264-params", "intra-refresh=1"}), "i.mp4", 40},
      {"OneFrame", x264, "one.mp4", 1},
      {"TwoFrames", x264, "two.mkv", 2},
      {"OddSize", {"-vf", "crop=63:47:0:0:exact=1", "-c:v", "ffv1", "-pix_fmt", "yuv420p"}, "odd.mkv"},
      {"OddSize422", {"-vf", "crop=63:47:0:0:exact=1", "-c:v", "ffv1", "-pix_fmt", "yuv422p"}, "odd2.mkv"},
      {"TenBit420", {"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p10le"}, "t.mp4"},
      {"TenBit422", {"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv422p10le"}, "t2.mkv"},
      {"EightBit422", {"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv422p"}, "e2.mov"},
      {"EightBit444", {"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv444p"}, "e4.mp4"},
      {"Prores", {"-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"}, "p.mov"},
      {"Gray", {"-c:v", "ffv1", "-pix_fmt", "gray"}, "g.mkv"},
      {"Rgb", {"-c:v", "png", "-pix_fmt", "rgb24"}, "r.mov"},
      {"PlanarRgbTenBit", {"-c:v", "ffv1", "-pix_fmt", "gbrp10le"}, "gb.mkv"},
      {"MpegFour", {"-c:v", "mpeg4", "-bf", "2"}, "m.avi"},
      {"Vp9", {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-auto-alt-ref", "1", "-lag-in-frames", "16"}, "v.webm"},
      {"Vp8", {"-c:v", "libvpx", "-deadline", "good", "-cpu-used", "4", "-auto-alt-ref", "1", "-lag-in-frames", "16"},
       "v8.webm"},
      {"Gif", {"-c:v", "gif"}, "a.gif"},
  };
}

TEST_P(RoundTripTest, EveryFrameComesOnceUnchangedWithItsTime) {
  const TripCase& c = GetParam();
  const std::string source = make_clip(c.file, c.frames, c.arguments);
  const ClipInfo clip = probe_ok(system_tools(), {source});
  ASSERT_EQ(clip.frame_count(), c.frames);
  const auto frames = read_all(system_tools(), clip);
  ASSERT_EQ(frames.size(), static_cast<std::size_t>(c.frames));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].index, static_cast<std::int64_t>(i));
    EXPECT_EQ(frames[i].pts, clip.frames[i].pts);
  }
  const std::string output = path("out.part");
  auto report = round_trip(system_tools(), clip, output, {});
  ASSERT_TRUE(report) << report.error().message;
  const ClipInfo joined = probe_ok(system_tools(), {output});
  expect_same_times(clip, joined);
  if (joined.format == clip.format) expect_same_frames(frames, read_all(system_tools(), joined));
}

TEST_P(RoundTripTest, AnyRangeEqualsThatPartOfTheWhole) {
  const TripCase& c = GetParam();
  const std::string source = make_clip(c.file, c.frames, c.arguments);
  const ClipInfo clip = probe_ok(system_tools(), {source});
  const auto whole = read_all(system_tools(), clip);
  std::mt19937 random(3);
  for (int round = 0; round < 6; ++round) {
    const auto first = static_cast<std::int64_t>(random() % static_cast<unsigned>(c.frames));
    const auto end = first + static_cast<std::int64_t>(random() % static_cast<unsigned>(c.frames - first + 1));
    const auto part = read_frames(system_tools(), clip, {first, end});
    ASSERT_EQ(part.size(), static_cast<std::size_t>(end - first));
    for (std::size_t i = 0; i < part.size(); ++i) {
      const RawFrame& other = whole[static_cast<std::size_t>(first) + i];
      ASSERT_EQ(part[i].pts, other.pts);
      ASSERT_EQ(part[i].bytes, other.bytes) << "frame " << other.index << " of " << first << "–" << end;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Clips, RoundTripTest, ::testing::ValuesIn(trip_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace kiln::lane
