// Real segments by the hundred: each decoded and encoded apart, then joined. Minutes, not seconds.
#include <gtest/gtest.h>

#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

class ManySegmentsTest : public MediaLab {};

TEST_F(ManySegmentsTest, FiveHundredSegmentsOfSevenFramesEndOnTheSourcesTick) {
  const std::string exact = make_clip("long.mp4", 3500, {"-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-pix_fmt", "yuv420p"}, "16x16");
  const ClipInfo clip = probe_ok(system_tools(), {exact});
  ASSERT_EQ(clip.frame_count(), 3500);
  auto report = round_trip(system_tools(), clip, path("out.mp4"), {Codec::kH264, Container::kMp4, 7});
  ASSERT_TRUE(report) << report.error().message;
  const ClipInfo joined = probe_ok(system_tools(), {path("out.mp4")});
  expect_same_times(clip, joined);
  EXPECT_EQ(rescale_exactly(joined.frames.back().pts, joined.time_base, clip.time_base), clip.frames.back().pts);
}

TEST_F(ManySegmentsTest, FramesOfALosslessOutputAreTheSourcesForEverySegmentLength) {
  const ClipInfo clip = probe_ok(system_tools(), {make_clip("a.mkv", 101, {"-c:v", "libx264", "-bf", "3", "-g", "25", "-pix_fmt", "yuv420p"})});
  const auto frames = read_all(system_tools(), clip);
  for (const int length : {1, 2, 3, 5, 50, 101}) {
    auto report = round_trip(system_tools(), clip, path("out.mkv"), {Codec::kFfv1, Container::kMatroska, length});
    ASSERT_TRUE(report) << report.error().message;
    const ClipInfo joined = probe_ok(system_tools(), {path("out.mkv")});
    expect_same_times(clip, joined);
    expect_same_frames(frames, read_all(system_tools(), joined));
  }
}

}  // namespace
}  // namespace kiln::lane
