// What travels beside the video: sound, subtitles, chapters, attachments, metadata, rotation, the time origin.
#include <gtest/gtest.h>

#include <fstream>

#include "lane/media/segment_join.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using kiln::test::TempFolder;
using test::packet_times_s;
using test::packets_md5;
using test::stream_field;
using test::tools;

ClipInfo probed(const std::string& path) {
  auto clip = probe_clip(tools(), {.path = path});
  EXPECT_TRUE(clip) << clip.error().message;
  return clip.value_or(ClipInfo{});
}

const std::vector<std::string> kPicture{"-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2"};
const std::vector<std::string> kTone{"-f", "lavfi", "-i", "sine=frequency=440:duration=2"};

std::vector<std::string> operator+(std::vector<std::string> left, const std::vector<std::string>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// How much later the sound starts than the picture.
double sound_offset_s(const std::string& path, const std::string& track = "a:0") {
  return packet_times_s(path, track).front() - packet_times_s(path, "v:0").front();
}

bool any_has(const std::vector<std::string>& lines, const std::string& words) {
  for (const auto& line : lines) {
    if (line.find(words) != std::string::npos) return true;
  }
  return false;
}

struct SoundCase {
  const char* name;
  std::string source;
  Container container;
  const char* delay;  // of the sound, seconds
  std::vector<std::string> coding;
};

class JoinSoundTest : public ::testing::TestWithParam<SoundCase> {};

TEST_P(JoinSoundTest, SoundKeepsItsBytesAndItsOffset) {
  const TempFolder folder;
  const std::string source = folder / GetParam().source;
  test::ffmpeg(kPicture + std::vector<std::string>{"-itsoffset", GetParam().delay} + kTone + GetParam().coding +
               std::vector<std::string>{"-c:v", "libx264", "-preset", "veryfast", source});
  const ClipInfo clip = probed(source);
  ASSERT_EQ(clip.frame_count(), 50);
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, GetParam().container), 17);
  ASSERT_TRUE(joined) << joined.error().message;
  test::expect_times(joined->path, clip);
  EXPECT_EQ(packets_md5(joined->path, "a:0"), packets_md5(source, "a:0"));
  EXPECT_EQ(packet_times_s(joined->path, "a:0").size(), packet_times_s(source, "a:0").size());
  // A Matroska tick is 1 ms, on either side.
  EXPECT_NEAR(sound_offset_s(joined->path), sound_offset_s(source), 0.0021);
}

INSTANTIATE_TEST_SUITE_P(
    Sources, JoinSoundTest,
    ::testing::Values(SoundCase{"mp4_mp4", "in.mp4", Container::kMp4, "0", {"-c:a", "aac"}},
                      SoundCase{"mp4_late_mp4", "in.mp4", Container::kMp4, "0.7", {"-c:a", "aac"}},
                      SoundCase{"mp4_early_mp4", "in.mp4", Container::kMp4, "-0.3", {"-c:a", "aac"}},
                      SoundCase{"mp4_mkv", "in.mp4", Container::kMatroska, "0.7", {"-c:a", "aac"}},
                      SoundCase{"mp4_mov", "in.mp4", Container::kMov, "0.7", {"-c:a", "aac"}},
                      SoundCase{"mp4_nut", "in.mp4", Container::kNut, "0.7", {"-c:a", "aac"}},
                      SoundCase{"mkv_mp4", "in.mkv", Container::kMp4, "0.7", {"-c:a", "ac3"}},
                      SoundCase{"mkv_flac_mkv", "in.mkv", Container::kMatroska, "0", {"-c:a", "flac"}},
                      SoundCase{"mov_pcm_mov", "in.mov", Container::kMov, "0.2", {"-c:a", "pcm_s16le"}}),
    [](const auto& sound) { return std::string(sound.param.name); });

TEST(JoinSourceTest, BroadcastStreamsStartAtZeroAndKeepTheirSoundInPlace) {
  const TempFolder folder;
  const std::string source = folder / "in.ts";
  test::ffmpeg(kPicture + std::vector<std::string>{"-itsoffset", "0.5"} + kTone +
               std::vector<std::string>{"-c:v", "libx264", "-c:a", "ac3", "-output_ts_offset", "5000", source});
  const ClipInfo clip = probed(source);
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kMp4), 20);
  ASSERT_TRUE(joined) << joined.error().message;
  test::expect_times(joined->path, clip);
  EXPECT_LT(packet_times_s(joined->path, "v:0").front(), 2.0);
  EXPECT_EQ(packets_md5(joined->path, "a:0"), packets_md5(source, "a:0"));
  EXPECT_NEAR(sound_offset_s(joined->path), sound_offset_s(source), 0.001);
}

// A Matroska file with all that a film may carry.
std::string rich_film(const TempFolder& folder) {
  std::ofstream(folder / "words.srt") << "1\n00:00:00,200 --> 00:00:01,000\nHello\n\n2\n00:00:01,100 --> 00:00:01,900\nBye\n";
  std::ofstream(folder / "chapters.txt") << ";FFMETADATA1\ntitle=A film\nartist=Somebody\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\n"
                                            "title=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Two\n";
  std::ofstream(folder / "font.ttf") << "not a font";
  const std::string source = folder / "rich.mkv";
  test::ffmpeg(kPicture + kTone + std::vector<std::string>{"-f", "lavfi", "-i", "sine=frequency=880:duration=2"} +
               std::vector<std::string>{"-i", folder / "words.srt", "-i", folder / "chapters.txt", "-map", "0:v", "-map",
                                        "1:a", "-map", "2:a", "-map", "3:s", "-map_metadata", "4", "-map_chapters", "4",
                                        "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra",
                                        "-metadata:s:s:0", "language=deu", "-disposition:a:1", "default",
                                        "-attach", folder / "font.ttf", "-metadata:s:t", "mimetype=font/ttf",
                                        "-c:v", "libx264", "-c:a", "aac", "-c:s", "srt", source});
  return source;
}

TEST(JoinSourceTest, MatroskaKeepsTracksSubtitlesChaptersAttachmentsAndMetadata) {
  const TempFolder folder;
  const std::string source = rich_film(folder);
  const ClipInfo clip = probed(source);
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kMatroska), 20);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_TRUE(joined->report.warnings.empty()) << joined->report.warnings[0];
  test::expect_times(joined->path, clip);
  for (const char* track : {"a:0", "a:1", "s:0"}) {
    EXPECT_EQ(packets_md5(joined->path, track), packets_md5(source, track)) << track;
    EXPECT_EQ(stream_field(joined->path, track, "stream_tags=language"), stream_field(source, track, "stream_tags=language"));
    EXPECT_EQ(stream_field(joined->path, track, "stream_disposition=default"),
              stream_field(source, track, "stream_disposition=default"))
        << track;
  }
  EXPECT_EQ(stream_field(joined->path, "t:0", "stream_tags=filename"), "font.ttf");
  const std::vector<std::string> chapters{"-show_chapters", "-of", "csv=p=0"};
  EXPECT_EQ(test::ffprobe(chapters + std::vector<std::string>{"-show_entries", "chapter=start_time,end_time:chapter_tags=title", joined->path}),
            test::ffprobe(chapters + std::vector<std::string>{"-show_entries", "chapter=start_time,end_time:chapter_tags=title", source}));
  EXPECT_EQ(stream_field(joined->path, "v:0", "format_tags=title"), "A film");
}

// ffmpeg reads such an attachment as a video track.
TEST(JoinSourceTest, MatroskaKeepsCoverPicturesAsAttachments) {
  const TempFolder folder;
  const std::string cover = folder / "front.jpg";
  const std::string source = folder / "in.mkv";
  const std::string movie = folder / "in.mp4";
  std::ofstream(folder / "font.ttf") << "not a font";
  test::ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1", cover});
  test::ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2", "-c:v", "libx264", "-attach", cover,
                "-metadata:s:1", "mimetype=image/jpeg", "-metadata:s:1", "title=Front", "-attach", folder / "font.ttf",
                "-metadata:s:2", "mimetype=font/ttf", source});
  test::ffmpeg({"-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2", "-i", cover, "-map", "0", "-map", "1", "-c:v:0",
                "libx264", "-c:v:1", "copy", "-disposition:v:1", "attached_pic", movie});
  for (const auto& [from, name] : {std::pair(source, "front.jpg"), std::pair(movie, "cover.jpg")}) {
    const ClipInfo clip = probed(from);
    const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kMatroska), 3);
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_TRUE(joined->report.warnings.empty()) << joined->report.warnings[0];
    test::expect_times(joined->path, clip);
    EXPECT_EQ(packets_md5(joined->path, "v:1"), packets_md5(from, "v:1"));
    EXPECT_EQ(stream_field(joined->path, "v:1", "stream_disposition=attached_pic"), "1");
    EXPECT_EQ(stream_field(joined->path, "v:1", "stream_tags=filename"), name);
    EXPECT_EQ(stream_field(joined->path, "v:1", "stream_tags=mimetype"), "image/jpeg");
    if (from != source) continue;
    EXPECT_EQ(stream_field(joined->path, "v:1", "stream_tags=title"), "Front");
    EXPECT_EQ(stream_field(joined->path, "t:0", "stream_tags=filename"), "font.ttf");
    EXPECT_EQ(stream_field(joined->path, "t:0", "stream_tags=mimetype"), "font/ttf");
  }
}

TEST(JoinSourceTest, Mp4ConvertsSubtitlesAndSaysWhatItLeavesOut) {
  const TempFolder folder;
  const std::string source = rich_film(folder);
  const ClipInfo clip = probed(source);
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kMp4), 20);
  ASSERT_TRUE(joined) << joined.error().message;
  test::expect_times(joined->path, clip);
  EXPECT_EQ(stream_field(joined->path, "s:0", "codec_name"), "mov_text");
  EXPECT_EQ(packets_md5(joined->path, "a:0"), packets_md5(source, "a:0"));
  EXPECT_EQ(packets_md5(joined->path, "a:1"), packets_md5(source, "a:1"));
  EXPECT_EQ(stream_field(joined->path, "a:1", "stream_tags=language"), "fra");
  EXPECT_EQ(test::ffprobe({"-show_entries", "chapter_tags=title", "-of", "csv=p=0", joined->path}), "One\nTwo\n");
  EXPECT_TRUE(any_has(joined->report.warnings, "font.ttf"));
  EXPECT_TRUE(any_has(joined->report.warnings, "mov_text"));
}

// What QuickTime keeps in data tracks, and other containers elsewhere, is no loss.
TEST(JoinSourceTest, TimeCodeAndTitlesOfChaptersAreNoDataThatIsLost) {
  const TempFolder folder;
  const std::string timed = folder / "timed.mov";
  const std::string titled = folder / "titled.mp4";
  const std::string titles = folder / "titles.txt";
  std::ofstream(titles) << ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=One\n";
  test::ffmpeg(kPicture + std::vector<std::string>{"-timecode", "01:02:03:04", "-c:v", "libx264", timed});
  test::ffmpeg(kPicture + std::vector<std::string>{"-i", titles, "-map_chapters", "1", "-c:v", "libx264", titled});
  for (const auto& [source, track] : {std::pair(timed, "tmcd\n"), std::pair(titled, "text\n")}) {
    const std::vector<std::string> tag_of_data{"-select_streams", "d", "-show_entries", "stream=codec_tag_string"};
    ASSERT_EQ(test::ffprobe(tag_of_data + std::vector<std::string>{"-of", "csv=p=0", source}), track);
    const ClipInfo clip = probed(source);
    for (const Container container : {Container::kMatroska, Container::kMp4}) {
      const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, container), 50);
      ASSERT_TRUE(joined) << joined.error().message;
      EXPECT_TRUE(joined->report.warnings.empty()) << joined->report.warnings[0];
      const std::string tag = container == Container::kMatroska ? "TIMECODE" : "timecode";
      EXPECT_EQ(stream_field(joined->path, "v:0", "stream_tags=" + tag), source == timed ? "01:02:03:04" : "");
      EXPECT_EQ(test::ffprobe({"-show_entries", "chapter_tags=title", "-of", "csv=p=0", joined->path}),
                source == titled ? "One\n" : "");
    }
  }
}

TEST(JoinSourceTest, OtherDataTracksAreLeftOutWithAWord) {
  const TempFolder folder;
  const std::string timed = folder / "timed.mov";
  const std::string broadcast = folder / "in.ts";
  test::ffmpeg(kPicture + std::vector<std::string>{"-timecode", "01:02:03:04", "-c:v", "libx264", timed});
  test::ffmpeg({"-i", timed, "-map", "0", "-c", "copy", broadcast});
  const ClipInfo clip = probed(broadcast);
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kMatroska), 50);
  ASSERT_TRUE(joined) << joined.error().message;
  ASSERT_EQ(joined->report.warnings.size(), 1U);
  const std::string warning = joined->report.warnings[0];
  EXPECT_NE(warning.find("data track 1 (of no known kind) is left out"), std::string::npos) << warning;
  EXPECT_NE(warning.find("-map 0:1 "), std::string::npos) << warning;
  EXPECT_EQ(test::ffprobe({"-show_entries", "stream=codec_type", "-of", "csv=p=0", joined->path}), "video\n");
}

class JoinRotationTest : public ::testing::TestWithParam<int> {};

TEST_P(JoinRotationTest, RotationReachesTheOutput) {
  const TempFolder folder;
  const std::string plain = folder / "plain.mp4";
  const std::string source = folder / "in.mp4";
  test::ffmpeg(kPicture + std::vector<std::string>{"-c:v", "libx264", plain});
  // Older versions write it from a tag, newer ones from an option of the input.
  if (tools().major_version == 5) {
    test::ffmpeg({"-i", plain, "-c", "copy", "-metadata:s:v", fmt::format("rotate={}", GetParam()), source});
  } else {
    test::ffmpeg({"-display_rotation", std::to_string(-GetParam()), "-i", plain, "-c", "copy", source});
  }
  const ClipInfo clip = probed(source);
  ASSERT_EQ(clip.width, 96);
  ASSERT_TRUE(clip.display_matrix);
  const auto rotation = [](const std::string& path) {
    return test::stream_field(path, "v:0", "stream_side_data=rotation");
  };
  ASSERT_FALSE(rotation(source).empty());
  for (const Container container : {Container::kMp4, Container::kMov, Container::kMatroska}) {
    const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, container), 20);
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_EQ(rotation(joined->path), rotation(source)) << to_string(container);
    EXPECT_EQ(stream_field(joined->path, "v:0", "width"), "96");
    EXPECT_EQ(stream_field(joined->path, "v:0", "stream_side_data=projection"), "");  // flat, no part of a sphere
    EXPECT_EQ(probed(joined->path).frame_count(), 50);
  }
  // NUT cannot say it; the plan does so before anything is rendered.
  const auto lost = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kNut), 20);
  ASSERT_FALSE(lost);
  EXPECT_EQ(exit_code(lost.error()), 65);
  EXPECT_NE(lost.error().message.find(".mp4 or .mov, or .mkv"), std::string::npos) << lost.error().message;
}

// A mirrored picture is more than a turn: Matroska of newer versions says it, older ones refuse it.
TEST(JoinSourceTest, MirroredPicturesAreKeptOrRefused) {
  const TempFolder folder;
  ClipInfo clip = test::synthetic_clip(96, 64, {PixelLayout::kYuv420, 8, false}, {1, 25}, {0, 1, 2});
  clip.display_matrix = DisplayMatrix{-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30};
  const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, Container::kMatroska), 20);
  if (tools().major_version != 0 && tools().major_version < 7) {
    ASSERT_FALSE(joined);
    EXPECT_EQ(exit_code(joined.error()), 65);
    EXPECT_NE(joined.error().message.find("write .mp4 or .mov"), std::string::npos) << joined.error().message;
  } else {
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_EQ(probed(joined->path).display_matrix, clip.display_matrix);
  }
}

INSTANTIATE_TEST_SUITE_P(Degrees, JoinRotationTest, ::testing::Values(90, 180, 270));

TEST(JoinSourceTest, ASourceWithoutSoundAndOneWithoutRotationHaveNoWarnings) {
  const TempFolder folder;
  const std::string source = folder / "in.mp4";
  test::ffmpeg(kPicture + std::vector<std::string>{"-c:v", "libx264", source});
  const ClipInfo clip = probed(source);
  for (const Container container : {Container::kMp4, Container::kMov, Container::kMatroska, Container::kNut}) {
    const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, container), 20);
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_TRUE(joined->report.warnings.empty()) << joined->report.warnings[0];
    EXPECT_EQ(test::ffprobe({"-show_entries", "stream=codec_type", "-of", "csv=p=0", joined->path}), "video\n");
  }
}

}  // namespace
}  // namespace kiln::lane
