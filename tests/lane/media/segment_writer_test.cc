#include "lane/media/segment_writer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/sha256.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using kiln::test::TempFolder;
using test::Bytes;
using test::tools;

constexpr PixelFormat k420{PixelLayout::kYuv420, 8, false};

ClipInfo small_clip(std::size_t frames = 40) {
  return test::synthetic_clip(96, 64, k420, {1, 1000}, test::irregular_times(frames));
}

EncoderSettings settings_for(const ClipInfo& clip, Codec codec) {
  auto settings = plan_encoder(tools(), clip, test::request_for(clip, codec, Container::kMatroska));
  EXPECT_TRUE(settings) << settings.error().message;
  return settings.value_or(EncoderSettings{});
}

// A program in place of ffmpeg, for what a real one seldom does.
MediaTools impostor(const TempFolder& folder, const std::string& script) {
  MediaTools fake = tools();
  fake.ffmpeg_path = folder / "ffmpeg";
  std::ofstream(fake.ffmpeg_path) << "#!/bin/sh\n" << script << "\n";
  ::chmod(fake.ffmpeg_path.c_str(), 0755);
  return fake;
}

class SegmentWriterCodecTest : public ::testing::TestWithParam<Codec> {};

TEST_P(SegmentWriterCodecTest, KeepsEveryFrameAndItsTimeWithVariableRate) {
  if (!tools().has_encoder(encoder_name(GetParam()))) GTEST_SKIP() << "this ffmpeg lacks the encoder";
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, GetParam());
  const auto segment = test::encode_segment(settings, clip, 3, 37, folder / "segment");
  ASSERT_TRUE(segment) << segment.error().message;
  const auto times = test::packet_times_s(segment->path, "v:0");
  ASSERT_EQ(times.size(), 34U);
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto wanted = static_cast<double>(clip.frames[i + 3].pts - clip.frames[3].pts) / 1000.0;
    EXPECT_NEAR(times[i] - times[0], wanted, 1e-5) << i;
  }
}

TEST_P(SegmentWriterCodecTest, WritesTheSameBytesTwice) {
  if (!tools().has_encoder(encoder_name(GetParam()))) GTEST_SKIP() << "this ffmpeg lacks the encoder";
  const TempFolder folder;
  const ClipInfo clip = small_clip(20);
  OutputRequest request = test::request_for(clip, GetParam(), Container::kMatroska);
  // With more threads x265 3.5 gave other bytes once in some hundred runs, on a busy machine: that is its own.
  request.encoder_threads = GetParam() == Codec::kHevc ? 1 : 3;
  const auto settings = plan_encoder(tools(), clip, request);
  ASSERT_TRUE(settings) << settings.error().message;
  std::string first;
  for (const char* name : {"a", "b"}) {
    const auto segment = test::encode_segment(*settings, clip, 0, 20, folder / name);
    ASSERT_TRUE(segment) << segment.error().message;
    const std::string digest = sha256(*read_file(segment->path, 1ULL << 30U)).hex();
    if (!first.empty()) {
      EXPECT_EQ(digest, first);
    }
    first = digest;
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, SegmentWriterCodecTest,
                         ::testing::Values(Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kFfv1, Codec::kProres,
                                           Codec::kPng),
                         [](const auto& codec) { return std::string(to_string(codec.param)); });

TEST(SegmentWriterTest, LosslessCodecReturnsEveryPlaneInEveryFormat) {
  const std::vector<PixelFormat> formats{
      {PixelLayout::kYuv420, 8, false},  {PixelLayout::kYuv422, 8, false},  {PixelLayout::kYuv444, 8, false},
      {PixelLayout::kYuv420, 10, false}, {PixelLayout::kYuv422, 10, false}, {PixelLayout::kYuv444, 10, false},
      {PixelLayout::kYuv420, 12, false}, {PixelLayout::kGray, 8, false},    {PixelLayout::kGray, 16, false},
      {PixelLayout::kRgb, 8, true},      {PixelLayout::kRgb, 10, false},    {PixelLayout::kRgb, 16, true}};
  for (const PixelFormat& format : formats) {
    const TempFolder folder;
    const ClipInfo clip = test::synthetic_clip(31, 17, format, {1, 25}, {0, 1, 2});  // odd: nothing is cropped
    const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
    ASSERT_EQ(settings.request.format, format) << format.ffmpeg_name();
    const auto segment = test::encode_segment(settings, clip, 0, 3, folder / "segment");
    ASSERT_TRUE(segment) << format.ffmpeg_name() << ": " << segment.error().message;
    Bytes all;
    for (int i = 0; i < 3; ++i) {
      const Bytes frame = test::pattern_frame(format, 31, 17, i);
      all.insert(all.end(), frame.begin(), frame.end());
    }
    EXPECT_EQ(test::decoded_sha256(segment->path, format.ffmpeg_name()), sha256(all).hex()) << format.ffmpeg_name();
  }
}

TEST(SegmentWriterTest, RefusesFramesOfTheWrongSizeAndTimesThatDoNotRise) {
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  auto writer = SegmentWriter::open(tools(), settings, folder / "segment");
  ASSERT_TRUE(writer);
  const Bytes frame = test::pattern_frame(k420, 96, 64, 0);
  EXPECT_EQ(writer->write(0, std::span(frame).first(100)).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(writer->write(10, frame));
  EXPECT_EQ(writer->write(10, frame).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(writer->write(11, frame));
  const auto summary = writer->finish();
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->frame_count, 2);
}

TEST(SegmentWriterTest, TakesTimesBelowZero) {
  const TempFolder folder;
  const ClipInfo clip = test::synthetic_clip(96, 64, k420, {1, 1000}, {-500, -460, 0, 40});
  const auto segment = test::encode_segment(settings_for(clip, Codec::kH264), clip, 0, 4, folder / "segment");
  ASSERT_TRUE(segment) << segment.error().message;
}

// Writes until the encoder's end is noticed.
Status write_on(SegmentWriter& writer, const ClipInfo& clip, std::int64_t from) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const Bytes frame = test::pattern_frame(clip.format, clip.width, clip.height, 0);
  for (std::int64_t pts = from; std::chrono::steady_clock::now() < deadline; ++pts) KILN_TRY(writer.write(pts, frame));
  return {};
}

pid_t child_of_this_process() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream children(entry.path() / "children");
    pid_t pid = 0;
    if (children >> pid) return pid;
  }
  return 0;
}

TEST(SegmentWriterTest, AnEncoderKilledInMidSegmentIsAClearErrorAndNoHang) {
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kH264);
  auto writer = SegmentWriter::open(tools(), settings, folder / "segment");
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write(0, test::pattern_frame(k420, 96, 64, 0)));
  const pid_t child = child_of_this_process();
  ASSERT_GT(child, 0);
  ::kill(child, SIGKILL);
  const auto status = write_on(*writer, clip, 1);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("killed by signal 9"), std::string::npos) << status.error().message;
  EXPECT_NE(status.error().message.find(folder / "segment"), std::string::npos) << status.error().message;
}

TEST(SegmentWriterTest, AFullDiskEndsWithItsOwnExitCode) {
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  auto writer = SegmentWriter::open(tools(), settings, "/dev/full");
  Status status = writer ? write_on(*writer, clip, 0) : Status(fail(writer.error()));
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 74) << status.error().message;
}

TEST(SegmentWriterTest, AFileSizeLimitEndsWithTheSameExitCode) {
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{64 << 10, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);  // the child inherits it
  auto writer = SegmentWriter::open(tools(), settings, folder / "segment");
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_TRUE(writer) << writer.error().message;
  const auto status = write_on(*writer, clip, 0);
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 74) << status.error().message;
}

TEST(SegmentWriterTest, AFolderThatIsNotThereIsUnwritable) {
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  const auto writer = SegmentWriter::open(tools(), settings, folder / "no/such/segment");
  ASSERT_FALSE(writer);
  EXPECT_EQ(exit_code(writer.error()), 73) << writer.error().message;
}

TEST(SegmentWriterTest, CancelEndsAWriteThatWaits) {
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  const MediaTools sleeper = impostor(folder, "exec sleep 600");  // reads nothing: the pipe fills up
  CancelSignal cancel;
  auto writer = SegmentWriter::open(sleeper, settings, folder / "segment", &cancel);
  ASSERT_TRUE(writer) << writer.error().message;
  std::thread other([&] { cancel.cancel(); });
  const auto status = write_on(*writer, clip, 0);
  other.join();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled) << status.error().message;
}

TEST(SegmentWriterTest, AnEncoderThatComplainsWithoutEndDoesNotBlockUs) {
  const TempFolder folder;
  const ClipInfo clip = small_clip();
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  const MediaTools shouter =
      impostor(folder, "head -c 20000000 /dev/zero | tr '\\0' 'x' >&2; echo the last word >&2; exit 3");
  auto writer = SegmentWriter::open(shouter, settings, folder / "segment");
  Status status = writer ? write_on(*writer, clip, 0) : Status(fail(writer.error()));
  ASSERT_FALSE(status);
  EXPECT_LT(status.error().message.size(), 2000U);
  EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
}

TEST(SegmentWriterTest, AnEncoderThatDropsFramesIsFoundOut) {
  const TempFolder folder;
  const ClipInfo clip = small_clip(10);
  const EncoderSettings settings = settings_for(clip, Codec::kFfv1);
  // The file comes last; all other arguments stay.
  const MediaTools dropper = impostor(
      folder, "for out; do :; done; " + tools().ffmpeg_path +
                  " -v error -y -f nut -i pipe:0 -c:v ffv1 -frames:v 4 -f mov \"$out\"; cat > /dev/null");
  const auto writer_result = [&]() -> Result<SegmentSummary> {
    KILN_TRY_ASSIGN(auto writer, SegmentWriter::open(dropper, settings, folder / "segment"));
    for (std::int64_t i = 0; i < 10; ++i) KILN_TRY(writer.write(i * 40, test::pattern_frame(k420, 96, 64, i)));
    return writer.finish();
  }();
  ASSERT_FALSE(writer_result);
  EXPECT_NE(writer_result.error().message.find("10 frames went in"), std::string::npos)
      << writer_result.error().message;
}

}  // namespace
}  // namespace kiln::lane
