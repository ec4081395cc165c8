// Clips, folders, disks and processes that are not as they should be: one clear line each, with its exit code.
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/process.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/ffmpeg_child.h"
#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

namespace fs = std::filesystem;

class BadInputTest : public MediaLab {
 protected:
  void expect_refused(const ClipSource& source, int code, const std::string& words) const {
    auto clip = probe_clip(system_tools(), source);
    ASSERT_FALSE(clip) << "accepted";
    EXPECT_EQ(exit_code(clip.error()), code) << clip.error().message;
    EXPECT_NE(clip.error().message.find(words), std::string::npos) << clip.error().message;
    EXPECT_EQ(clip.error().message.find('\n'), std::string::npos) << clip.error().message;
  }
  void cut(const std::string& name, double part, const std::string& to) const {
    fs::copy_file(path(name), path(to));
    fs::resize_file(path(to), static_cast<std::uintmax_t>(static_cast<double>(fs::file_size(path(name))) * part));
  }
};

TEST_F(BadInputTest, MissingFileIsMissing) { expect_refused({path("none.mp4")}, 66, "does not exist"); }
TEST_F(BadInputTest, MissingImagesAreMissing) { expect_refused({path("none_%04d.png")}, 66, "no images"); }

TEST_F(BadInputTest, WhatIsNoVideoIsRefused) {
  std::ofstream(path("empty.mp4")).flush();
  expect_refused({path("empty.mp4")}, 65, "is empty");
  std::ofstream(path("noise.mp4")) << std::string(5000, 'x');
  expect_refused({path("noise.mp4")}, 65, "cannot be read as a video");
  std::ofstream(path("letter.txt")) << "Dear Sir or Madam\n";
  expect_refused({path("letter.txt")}, 65, "letter.txt");
  ffmpeg({"-f", "lavfi", "-i", "sine", "-t", "0.2", "sound.wav"});
  expect_refused({path("sound.wav")}, 65, "holds no video");
}

TEST_F(BadInputTest, ClipWithoutFramesIsRefused) {
  // Headers of a recording that was stopped before its first frame.
  ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=64x48:d=1", "-c:v", "ffv1", "-t", "0", "none.mkv"});
  expect_refused({path("none.mkv")}, 65, "");
}

TEST_F(BadInputTest, FramesThatShareATimeAreRefused) {
  make_clip("fast.mkv", 8, {"-c:v", "ffv1"}, "64x48", "2000");  // two frames in each of Matroska's milliseconds
  expect_refused({path("fast.mkv")}, 65, "have the same time; give every frame its own");
}

TEST_F(BadInputTest, TruncatedFilesAreRefused) {
  make_clip("a.mp4", 60, {"-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart"});
  cut("a.mp4", 0.6, "front.mp4");
  expect_refused({path("front.mp4")}, 65, "truncated");
  make_clip("b.mp4", 60, {"-c:v", "libx264", "-pix_fmt", "yuv420p"});
  cut("b.mp4", 0.6, "back.mp4");
  expect_refused({path("back.mp4")}, 65, "truncated");
  make_clip("c.mkv", 60, {"-c:v", "libx264", "-pix_fmt", "yuv420p"});
  cut("c.mkv", 0.6, "cut.mkv");
  expect_refused({path("cut.mkv")}, 65, "truncated");
}

TEST_F(BadInputTest, InterlacedIsRefusedUnlessDeinterlacingIsAskedFor) {
  make_clip("i.mkv", 20, {"-vf", "setfield=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-pix_fmt", "yuv420p"});
  expect_refused({path("i.mkv")}, 65, "--deinterlace");
  ClipSource source{path("i.mkv")};
  source.deinterlace = true;
  const ClipInfo clip = probe_ok(system_tools(), source);
  ASSERT_TRUE(clip.interlaced);
  ASSERT_EQ(clip.frame_count(), 20);
  const auto whole = read_all(system_tools(), clip);
  ASSERT_EQ(whole.size(), 20U);
  const auto part = read_frames(system_tools(), clip, {5, 13});
  expect_same_frames(part, {whole.begin() + 5, whole.begin() + 13});
  auto report = round_trip(system_tools(), clip, path("out.mkv"), {});
  ASSERT_TRUE(report) << report.error().message;
  expect_same_times(clip, probe_ok(system_tools(), {path("out.mkv")}));
}

TEST_F(BadInputTest, FileThatIsCutAfterProbingEndsTheReaderWithItsFrame) {
  make_clip("a.mkv", 60, {"-c:v", "ffv1", "-g", "1"});
  const ClipInfo clip = probe_ok(system_tools(), {path("a.mkv")});
  fs::resize_file(path("a.mkv"), fs::file_size(path("a.mkv")) / 2);
  auto reader = FrameReader::open(system_tools(), clip, {0, 60});
  ASSERT_TRUE(reader);
  RawFrame frame;
  Result<bool> more = true;
  while (more && *more) more = reader->read(frame);
  ASSERT_FALSE(more);
  EXPECT_EQ(exit_code(more.error()), 65);
  EXPECT_NE(more.error().message.find(fmt::format("frame {}", frame.index + 1)), std::string::npos)
      << more.error().message;
}

TEST_F(BadInputTest, FramesThatChangeSizeAreNamed) {
  fs::create_directory(path("images"));
  ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=64x48", "-frames:v", "3", "images/a%02d.png"});
  ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=32x48", "-frames:v", "1", "images/b.png"});
  const ClipInfo clip = probe_ok(system_tools(), {path("images")});
  auto reader = FrameReader::open(system_tools(), clip, {0, 4});
  RawFrame frame;
  for (int i = 0; i < 3; ++i) {
    auto more = reader->read(frame);
    ASSERT_TRUE(more) << more.error().message;
  }
  auto last = reader->read(frame);
  ASSERT_FALSE(last);
  EXPECT_NE(last.error().message.find("frame 3"), std::string::npos) << last.error().message;
}

TEST_F(BadInputTest, ToolsThatAreNotThereAreNamed) {
  auto tools = find_media_tools({.ffmpeg = path("no/ffmpeg"), .program_directory = "", .answers_folder = ""});
  ASSERT_FALSE(tools);
  EXPECT_EQ(exit_code(tools.error()), 78);
  EXPECT_NE(tools.error().message.find("install"), std::string::npos);
}

class BrokenEncoderTest : public MediaLab {
 protected:
  EncoderSettings settings_for(const ClipInfo& clip) const {
    OutputRequest request;
    request.codec = Codec::kFfv1;
    request.container = Container::kMatroska;
    request.width = clip.width;
    request.height = clip.height;
    request.format = clip.format;
    auto settings = plan_encoder(system_tools(), clip, request);
    if (!settings) throw std::runtime_error(settings.error().message);
    return *settings;
  }
  ClipInfo noisy_clip() const {
    return probe_ok(system_tools(), {make_clip("n.mkv", 4, {"-vf", "noise=alls=100:allf=t", "-c:v", "ffv1"}, "640x480")});
  }
};

TEST_F(BrokenEncoderTest, FolderThatIsNotThereIsUnwritable) {
  const ClipInfo clip = noisy_clip();
  const EncoderSettings settings = settings_for(clip);
  auto writer = SegmentWriter::open(system_tools(), settings, path("none/segment"));
  ASSERT_FALSE(writer);
  EXPECT_EQ(exit_code(writer.error()), 73) << writer.error().message;
}

// The limit stands for a full disk: writes past it fail in the same places. It is set in a child, for good.
TEST_F(BrokenEncoderTest, FullDiskEndsWithItsExitCode) {
  const ClipInfo clip = noisy_clip();
  const EncoderSettings settings = settings_for(clip);
  const auto frames = read_all(system_tools(), clip);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{300000, 300000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto writer = SegmentWriter::open(system_tools(), settings, path("segment"));
    Status status;
    for (int i = 0; writer && status && i < 40; ++i) status = writer->write(i, frames[0].bytes);
    if (writer && status) {
      auto done = writer->finish();
      if (!done) status = fail(done.error());
    }
    if (!status) fmt::print(stderr, "{}\n", status.error().message);
    ::_exit(status ? 0 : exit_code(status.error()));
  }
  int raw = 0;
  ASSERT_EQ(::waitpid(child, &raw, 0), child);
  ASSERT_TRUE(WIFEXITED(raw));
  EXPECT_EQ(WEXITSTATUS(raw), 74);
}

TEST_F(BrokenEncoderTest, KilledEncoderIsAnErrorNotAHang) {
  const ClipInfo clip = noisy_clip();
  const EncoderSettings settings = settings_for(clip);
  const auto frames = read_all(system_tools(), clip);
  auto writer = SegmentWriter::open(system_tools(), settings, path("segment"));
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write(0, frames[0].bytes));
  ASSERT_TRUE(kill_children_named("ffmpeg"));
  Status status;
  for (int i = 1; status && i < 100; ++i) status = writer->write(i, frames[0].bytes);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("signal 9"), std::string::npos) << status.error().message;
}

TEST_F(BrokenEncoderTest, KilledDecoderIsAnErrorNotAHang) {
  const std::string source = make_clip("l.mkv", 100, {"-c:v", "ffv1"}, "640x480");
  const ClipInfo clip = probe_ok(system_tools(), {source});
  auto reader = FrameReader::open(system_tools(), clip, {0, 100});
  ASSERT_TRUE(reader);
  RawFrame frame;
  ASSERT_TRUE(reader->read(frame));
  ASSERT_TRUE(kill_children_named("ffmpeg"));
  Result<bool> more = true;
  while (more && *more) more = reader->read(frame);
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("signal 9"), std::string::npos) << more.error().message;
}

TEST_F(BrokenEncoderTest, CancelEndsAWaitFromAnotherThread) {
  const CancelSignal cancel;
  const ClipInfo clip = noisy_clip();
  const EncoderSettings settings = settings_for(clip);
  FfmpegOptions options;  // reads nothing and writes nothing, until it is told to end
  options.program = "sleep";
  options.arguments = {"1000"};
  options.read_stdout = true;
  options.cancel = &cancel;
  auto child = FfmpegChild::start(options);
  ASSERT_TRUE(child);
  std::thread other([&] { cancel.cancel(); });
  std::array<std::byte, 16> bytes{};
  auto n = (*child)->read_some(bytes);
  other.join();
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().code, ErrorCode::kCancelled);
  auto writer = SegmentWriter::open(system_tools(), settings, path("segment"), &cancel);
  EXPECT_FALSE(writer);
  FrameReaderOptions read_options;
  read_options.cancel = &cancel;
  auto reader = FrameReader::open(system_tools(), clip, {0, 4}, read_options);
  RawFrame frame;
  if (reader) {
    auto more = reader->read(frame);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, ErrorCode::kCancelled);
  }
}

TEST_F(BrokenEncoderTest, ChildThatHangsIsEnded) {
  FfmpegOptions options;
  options.program = "sleep";
  options.arguments = {"1000"};
  options.read_stdout = true;
  options.idle_deadline = std::chrono::milliseconds(50);
  auto child = FfmpegChild::start(options);
  ASSERT_TRUE(child);
  std::array<std::byte, 16> bytes{};
  auto n = (*child)->read_some(bytes);
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().code, ErrorCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace kiln::lane
