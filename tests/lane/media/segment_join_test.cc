#include "lane/media/segment_join.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/sha256.h"
#include "lane/media/join_table_room.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using kiln::test::TempFolder;
using test::Bytes;
using test::stream_field;
using test::tools;

constexpr PixelFormat k420{PixelLayout::kYuv420, 8, false};

class SegmentJoinContainerTest : public ::testing::TestWithParam<Container> {};

TEST_P(SegmentJoinContainerTest, EveryFrameOfAVariableRateClipIsAtItsTime) {
  const TempFolder folder;
  ClipInfo clip = test::synthetic_clip(96, 64, k420, {1, 1000}, test::irregular_times(60));
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, GetParam()), 13);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(joined->report.frame_count, 60);
  EXPECT_NE(stream_field(joined->path, "v:0", "has_b_frames"), "0");
  test::expect_times(joined->path, clip);
}

// One segment's file stands for all of them: what counts here are the times of the index.
TEST_P(SegmentJoinContainerTest, FiveHundredSegmentsOfSevenFramesDoNotDrift) {
  const TempFolder folder;
  std::vector<std::int64_t> pts;
  for (std::int64_t i = 0; i < 3500; ++i) pts.push_back(i);
  const ClipInfo clip = test::synthetic_clip(96, 64, k420, {1001, 30000}, pts);
  const auto settings = plan_encoder(tools(), clip, test::request_for(clip, Codec::kH264, GetParam()));
  ASSERT_TRUE(settings) << settings.error().message;
  const auto segment = test::encode_segment(*settings, clip, 0, 7, folder / "segment");
  ASSERT_TRUE(segment) << segment.error().message;
  std::vector<SegmentFile> segments;
  for (std::int64_t i = 0; i < 500; ++i) segments.push_back({segment->path, i * 7, 7});
  const std::string output = folder / ("out." + std::string(to_string(GetParam())));
  const auto report = join_segments(tools(), clip, *settings, segments, output);
  ASSERT_TRUE(report) << report.error().message;
  test::expect_times(output, clip);
}

TEST_P(SegmentJoinContainerTest, TimesOfOddClocksStayWithinATick) {
  const TempFolder folder;
  for (const Rational time_base : {Rational{1, 90000}, Rational{1, 12800}, Rational{1, 10'000'000}, Rational{1001, 24000}}) {
    std::vector<std::int64_t> pts;
    const auto step = static_cast<std::int64_t>(0.041 / time_base.value());
    for (std::int64_t i = 0; i < 30; ++i) pts.push_back(i * std::max<std::int64_t>(1, step) + 3);
    const ClipInfo clip = test::synthetic_clip(64, 64, k420, time_base, pts);
    const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, GetParam()), 11);
    ASSERT_TRUE(joined) << time_base.text() << ": " << joined.error().message;
    test::expect_times(joined->path, clip);
  }
}

INSTANTIATE_TEST_SUITE_P(Containers, SegmentJoinContainerTest,
                         ::testing::Values(Container::kMp4, Container::kMov, Container::kMatroska, Container::kNut),
                         [](const auto& container) { return std::string(to_string(container.param)); });

class SegmentJoinCodecTest : public ::testing::TestWithParam<Codec> {};

TEST_P(SegmentJoinCodecTest, JoinedFramesDecodeAsTheSegmentsDo) {
  if (!tools().has_encoder(encoder_name(GetParam()))) GTEST_SKIP() << "this ffmpeg lacks the encoder";
  if (!tools().has_decoder(to_string(GetParam()))) GTEST_SKIP() << "this ffmpeg lacks the decoder";
  const TempFolder folder;
  const ClipInfo clip = test::synthetic_clip(96, 64, k420, {1, 25}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const auto joined = test::render(folder, clip, test::request_for(clip, GetParam(), Container::kMatroska), 5);
  ASSERT_TRUE(joined) << joined.error().message;
  test::expect_times(joined->path, clip);
  const std::string format = joined->settings.request.format.ffmpeg_name();
  // The last segment holds a single frame.
  const std::string frames = folder / "frames.nut";
  std::string list;
  for (const auto& segment : joined->segments) {
    test::ffmpeg({"-i", segment.path, "-fps_mode", "passthrough", "-pix_fmt", format, "-f", "rawvideo",
                  folder / "raw"});
    list += *read_file(folder / "raw", 1ULL << 30U);
  }
  EXPECT_EQ(test::decoded_sha256(joined->path, format), sha256(list).hex());
}

INSTANTIATE_TEST_SUITE_P(Codecs, SegmentJoinCodecTest,
                         ::testing::Values(Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kFfv1, Codec::kProres,
                                           Codec::kPng),
                         [](const auto& codec) { return std::string(to_string(codec.param)); });

// Position of each box of the file's first level, in order.
std::vector<std::string> boxes_of(const std::string& path) {
  const std::string bytes = *read_file(path, 1ULL << 30U);
  const auto number = [&](std::size_t at, int count) {
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8U | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
    return value;
  };
  std::vector<std::string> boxes;
  for (std::size_t at = 0; at + 16 <= bytes.size();) {
    boxes.push_back(bytes.substr(at + 4, 4));
    const std::uint64_t size = number(at, 4);
    at += size == 1 ? number(at + 8, 8) : size;
  }
  return boxes;
}

TEST(SegmentJoinTest, TheTableOfALargeFileGoesIntoRoomThatWasLeftForIt) {
  const TempFolder folder;
  std::vector<std::int64_t> times;
  for (int i = 0; i < 120; ++i) times.push_back(i);
  const ClipInfo clip = test::synthetic_clip(640, 360, k420, {1, 25}, times);
  const OutputRequest request = test::request_for(clip, Codec::kProres, Container::kMov);
  const auto joined = test::render(folder, clip, request, 40);
  ASSERT_TRUE(joined) << joined.error().message;
  test::expect_times(joined->path, clip);
  const auto boxes = boxes_of(joined->path);
  ASSERT_GE(boxes.size(), 4U);
  EXPECT_EQ(boxes[1], "moov");
  EXPECT_EQ(boxes[2], "free") << "what was left is not all used";
  EXPECT_EQ(*sha256_of_fd(UniqueFd(::open(joined->path.c_str(), O_RDONLY)).get()), *joined->report.digest);
}

TEST(JoinTableRoomTest, IsLeftWhereItIsKnownToBeEnoughAndSmallBesideTheFile) {
  ClipInfo clip = test::synthetic_clip(640, 360, k420, {1, 25}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  EncoderSettings settings;
  settings.request = test::request_for(clip, Codec::kH264, Container::kMp4);
  Timeline timeline;
  timeline.track.samples.resize(10);
  for (MovSample& sample : timeline.track.samples) sample.size = 10U << 20U;
  timeline.segment_of = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
  const std::int64_t silent = table_room(clip, settings, timeline);
  EXPECT_GE(silent, 44 * 10);
  SourceStream sound;
  sound.kind = StreamKind::kAudio;
  sound.codec = "aac";
  clip.other_streams = {sound};
  EXPECT_GT(table_room(clip, settings, timeline), silent);
  clip.other_streams[0].codec = "truehd";
  EXPECT_EQ(table_room(clip, settings, timeline), 0) << "nobody knows how many packets";
  clip.other_streams[0].kind = StreamKind::kSubtitle;
  EXPECT_EQ(table_room(clip, settings, timeline), 0);
  clip.other_streams.clear();
  settings.request.container = Container::kMatroska;
  EXPECT_EQ(table_room(clip, settings, timeline), 0) << "has no such table";
  settings.request.container = Container::kMov;
  for (std::size_t i = 0; i < 5; ++i) timeline.track.samples[i].size = 1000;
  EXPECT_EQ(table_room(clip, settings, timeline), 0) << "by the first segment, which is small";
}

TEST(SegmentJoinTest, OneFrameAndOddSizesAndTenBits) {
  const TempFolder folder;
  const PixelFormat ten{PixelLayout::kYuv420, 10, false};
  const ClipInfo odd = test::synthetic_clip(33, 17, ten, {1, 25}, {7});
  const auto joined = test::render(folder, odd, test::request_for(odd, Codec::kFfv1, Container::kMatroska), 5);
  ASSERT_TRUE(joined) << joined.error().message;
  test::expect_times(joined->path, odd);
  EXPECT_EQ(stream_field(joined->path, "v:0", "pix_fmt"), "yuv420p10le");
  EXPECT_EQ(stream_field(joined->path, "v:0", "width"), "33");
  EXPECT_EQ(stream_field(joined->path, "v:0", "height"), "17");
  EXPECT_EQ(test::decoded_sha256(joined->path, "yuv420p10le"), sha256(test::pattern_frame(ten, 33, 17, 0)).hex());
}

TEST(SegmentJoinTest, TenBitsStayTenBitsInEveryCodecThatHasThem) {
  const PixelFormat ten{PixelLayout::kYuv420, 10, false};
  const ClipInfo clip = test::synthetic_clip(96, 64, ten, {1, 25}, {0, 1, 2, 3});
  for (const Codec codec : {Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kFfv1, Codec::kProres}) {
    const TempFolder folder;
    const auto joined = test::render(folder, clip, test::request_for(clip, codec, Container::kMatroska), 3);
    if (!joined && exit_code(joined.error()) == 78) continue;  // this build lacks it, and says so when planning
    ASSERT_TRUE(joined) << to_string(codec) << ": " << joined.error().message;
    EXPECT_EQ(stream_field(joined->path, "v:0", "pix_fmt"), codec == Codec::kProres ? "yuv422p10le" : "yuv420p10le");
  }
}

TEST(SegmentJoinTest, ColourTagsAndAspectReachEveryContainer) {
  struct Case {
    Codec codec;
    Container container;
  };
  for (const auto& [codec, container] :
       {Case{Codec::kH264, Container::kMp4}, Case{Codec::kHevc, Container::kMp4}, Case{Codec::kH264, Container::kMatroska},
        Case{Codec::kAv1, Container::kMatroska}, Case{Codec::kFfv1, Container::kMatroska}, Case{Codec::kProres, Container::kMov},
        Case{Codec::kH264, Container::kNut}}) {
    const TempFolder folder;
    ClipInfo clip = test::synthetic_clip(96, 64, k420, {1, 25}, {0, 1, 2, 3, 4});
    clip.sample_aspect = {32, 27};
    clip.color = {ColorRange::kFull, ColorMatrix::kBt2020Ncl, ColorTransfer::kPq, ColorPrimaries::kBt2020,
                  ChromaSiting::kTopLeft};
    const auto joined = test::render(folder, clip, test::request_for(clip, codec, container), 3);
    ASSERT_TRUE(joined) << joined.error().message;
    const std::string what = std::string(to_string(codec)) + " in " + std::string(to_string(container));
    if (codec != Codec::kProres) {  // always limited by definition
      EXPECT_EQ(stream_field(joined->path, "v:0", "color_range"), "pc") << what;
    }
    EXPECT_EQ(stream_field(joined->path, "v:0", "color_space"), "bt2020nc") << what;
    EXPECT_EQ(stream_field(joined->path, "v:0", "color_transfer"), "smpte2084") << what;
    EXPECT_EQ(stream_field(joined->path, "v:0", "color_primaries"), "bt2020") << what;
    EXPECT_EQ(stream_field(joined->path, "v:0", "sample_aspect_ratio"), "32:27") << what;
    if (codec == Codec::kH264 || codec == Codec::kHevc || codec == Codec::kAv1) {
      EXPECT_EQ(stream_field(joined->path, "v:0", "chroma_location"), "topleft") << what;
    }
  }
}

TEST(SegmentJoinTest, ImagesAreWrittenInOrderFromOne) {
  if (!tools().has_encoder("png")) GTEST_SKIP() << "this ffmpeg lacks the encoder";
  const TempFolder folder;
  const PixelFormat rgb{PixelLayout::kRgb, 8, true};
  const ClipInfo clip = test::synthetic_clip(20, 10, rgb, {1, 25}, {0, 1, 2, 3, 4});
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kPng, Container::kImageSequence), 2);
  ASSERT_TRUE(joined) << joined.error().message;
  for (int i = 0; i < 5; ++i) {
    const std::string path = folder / fmt::format("out_{:04}.png", i + 1);
    EXPECT_EQ(test::decoded_sha256(path, "rgb24"), sha256(test::pattern_frame(rgb, 20, 10, i)).hex()) << path;
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "out_0006.png"));
}

// What a join refuses, and how the command ends.
class SegmentJoinRefusalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    clip_ = test::synthetic_clip(96, 64, k420, {1, 25}, {0, 1, 2, 3, 4, 5});
    auto joined = test::render(folder_, clip_, test::request_for(clip_, Codec::kH264, Container::kMp4), 3);
    ASSERT_TRUE(joined) << joined.error().message;
    joined_ = *joined;
  }
  Error refusal(const std::vector<SegmentFile>& segments, const std::string& output) {
    const auto report = join_segments(tools(), clip_, joined_.settings, segments, output);
    EXPECT_FALSE(report);
    return report ? Error{} : report.error();
  }

  TempFolder folder_;
  ClipInfo clip_;
  test::Joined joined_;
};

TEST_F(SegmentJoinRefusalTest, SegmentsThatDoNotCoverTheClip) {
  auto segments = joined_.segments;
  segments.pop_back();
  EXPECT_NE(refusal(segments, folder_ / "o.mp4").message.find("3 of 6 frames"), std::string::npos);
  segments = joined_.segments;
  std::swap(segments[0], segments[1]);
  EXPECT_NE(refusal(segments, folder_ / "o.mp4").message.find("begins at frame 3"), std::string::npos);
}

TEST_F(SegmentJoinRefusalTest, ASegmentThatIsMissingOrShortOrDamaged) {
  auto segments = joined_.segments;
  segments[1].path = folder_ / "nowhere";
  EXPECT_NE(refusal(segments, folder_ / "o.mp4").message.find("nowhere"), std::string::npos);
  const std::string whole = *read_file(joined_.segments[1].path, 1ULL << 30U);
  segments[1].path = folder_ / "cut";
  std::ofstream(segments[1].path, std::ios::binary) << whole.substr(0, whole.size() / 2);
  EXPECT_NE(refusal(segments, folder_ / "o.mp4").message.find("cut"), std::string::npos);
}

TEST_F(SegmentJoinRefusalTest, ASegmentOfOtherSettings) {
  auto settings = plan_encoder(tools(), clip_, test::request_for(clip_, Codec::kHevc, Container::kMp4));
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_NE(settings->digest, joined_.settings.digest);
  const auto other = test::encode_segment(*settings, clip_, 3, 6, folder_ / "other");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_NE(refusal({joined_.segments[0], *other}, folder_ / "o.mp4").message.find("other settings"), std::string::npos);
}

TEST_F(SegmentJoinRefusalTest, AFullDiskAndAFolderThatIsNotThere) {
  EXPECT_EQ(exit_code(refusal(joined_.segments, "/dev/full")), 74);
  EXPECT_EQ(exit_code(refusal(joined_.segments, folder_ / "no/such/out.mp4")), 73);
}

TEST_F(SegmentJoinRefusalTest, ACancelledJoin) {
  CancelSignal cancel;
  cancel.cancel();
  const auto report =
      join_segments(tools(), clip_, joined_.settings, joined_.segments, folder_ / "o.mp4", &cancel);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace kiln::lane
