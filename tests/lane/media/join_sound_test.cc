// Sound that a container does not hold, and sound that it would hold at another time.
#include <gtest/gtest.h>

#include "lane/media/join_sound.h"
#include "lane/media/mkv_codec_delay.h"
#include "lane/media/segment_join.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using kiln::test::TempFolder;
using test::packet_times_s;
using test::packets_md5;
using test::samples_md5;
using test::stream_field;
using test::tools;

// 12 frames, with a tone that starts 0.1 s later.
std::string film(const TempFolder& folder, const std::string& name, const std::vector<std::string>& coding) {
  std::string source = folder / name;
  std::vector<std::string> arguments{"-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.48", "-itsoffset", "0.1", "-f",
                                     "lavfi", "-i", "sine=frequency=440:duration=0.4:sample_rate=48000"};
  arguments.insert(arguments.end(), coding.begin(), coding.end());
  arguments.push_back(source);
  test::ffmpeg(arguments);
  return source;
}

ClipInfo probed(const std::string& path) {
  auto clip = probe_clip(tools(), {.path = path});
  EXPECT_TRUE(clip) << clip.error().message;
  return clip.value_or(ClipInfo{});
}

double sound_offset_s(const std::string& path) {
  return packet_times_s(path, "a:0").front() - packet_times_s(path, "v:0").front();
}

struct UnheldCase {
  const char* name;
  const char* source;
  std::vector<std::string> coding;
  std::vector<std::pair<Container, const char*>> becomes;
  bool exact;
};

class JoinUnheldSoundTest : public ::testing::TestWithParam<UnheldCase> {};

TEST_P(JoinUnheldSoundTest, IsConvertedWithAWarningAndStaysInPlace) {
  const TempFolder folder;
  const std::string source = film(folder, GetParam().source, GetParam().coding);
  const ClipInfo clip = probed(source);
  ASSERT_EQ(clip.frame_count(), 12);
  for (const auto& [container, codec] : GetParam().becomes) {
    const auto joined = test::render(folder, clip, test::request_for(clip, Codec::kH264, container), 7);
    ASSERT_TRUE(joined) << joined.error().message;
    test::expect_times(joined->path, clip);
    EXPECT_EQ(stream_field(joined->path, "a:0", "codec_name"), codec) << to_string(container);
    EXPECT_NEAR(sound_offset_s(joined->path), sound_offset_s(source), 0.0021) << to_string(container);
    if (GetParam().exact) {
      EXPECT_EQ(samples_md5(joined->path, "a:0"), samples_md5(source, "a:0")) << to_string(container);
    }
    ASSERT_EQ(joined->report.warnings.size(), 1U);
    const std::string& warning = joined->report.warnings[0];
    EXPECT_NE(warning.find(std::string("is converted to ") + codec), std::string::npos) << warning;
    EXPECT_EQ(warning.find(".mkv can"), std::string::npos) << warning;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sources, JoinUnheldSoundTest,
    ::testing::Values(
        UnheldCase{"bluray", "in.m2ts", {"-c:v", "libx264", "-preset", "veryfast", "-ac", "2", "-c:a", "pcm_bluray",
                                         "-sample_fmt", "s32"},
                   {{Container::kMatroska, "pcm_s24le"}, {Container::kMov, "pcm_s24le"}}, true},
        UnheldCase{"dvd", "in.vob", {"-c:v", "mpeg2video", "-ac", "2", "-c:a", "pcm_dvd"},
                   {{Container::kMatroska, "pcm_s16le"}}, true},
        UnheldCase{"quicktime", "in.mov", {"-c:v", "libx264", "-preset", "veryfast", "-ac", "1", "-c:a", "adpcm_ima_qt"},
                   {{Container::kNut, "flac"}}, true},
        UnheldCase{"flash", "in.flv", {"-c:v", "flv", "-ar", "22050", "-ac", "1", "-c:a", "nellymoser"},
                   {{Container::kMatroska, "flac"}}, false}),
    [](const auto& unheld) { return std::string(unheld.param.name); });

// The lists against the muxers, for what can be made here.
TEST(HeldSoundTest, WhatIsSaidToBeHeldIsWritten) {
  const TempFolder folder;
  const std::vector<std::string> coders{"pcm_s16le", "pcm_s24le", "pcm_s32be", "pcm_f32le", "pcm_s64le", "pcm_u8",
                                        "pcm_mulaw", "flac",      "alac",      "wavpack",   "tta",       "aac",
                                        "ac3",       "eac3",      "mp2",       "adpcm_ms",  "wmav2"};
  std::vector<std::string> make{"-f", "lavfi", "-i", "sine=d=0.1:r=44100"};
  for (std::size_t i = 0; i < coders.size(); ++i) {
    const std::vector<std::string> track{"-map", "0:a", fmt::format("-c:a:{}", i), coders[i]};
    make.insert(make.end(), track.begin(), track.end());
  }
  const std::string source = folder / "all.mkv";
  make.push_back(source);
  test::ffmpeg(make);
  for (const auto& [container, muxer] : {std::pair{Container::kMatroska, "matroska"}, std::pair{Container::kNut, "nut"}}) {
    std::vector<std::string> copy{"-i", source, "-c", "copy"};
    for (std::size_t i = 0; i < coders.size(); ++i) {
      if (!holds_sound(container, coders[i])) continue;
      copy.insert(copy.end(), {"-map", fmt::format("0:a:{}", i)});
    }
    copy.insert(copy.end(), {"-f", muxer, folder / "out"});
    test::ffmpeg(copy);
  }
}

// Each run would move it by the same 6.5 ms: two in a row show it plainly.
class JoinOpusTest : public ::testing::TestWithParam<const char*> {};

TEST_P(JoinOpusTest, StaysInPlaceFromCopyToCopy) {
  const TempFolder folder;
  const TempFolder again;
  const std::string source = film(folder, GetParam(), {"-c:v", "libx264", "-preset", "veryfast", "-c:a", "libopus"});
  const auto once = test::render(folder, probed(source), test::request_for(probed(source), Codec::kH264, Container::kMatroska), 7);
  ASSERT_TRUE(once) << once.error().message;
  const ClipInfo clip = probed(once->path);
  const auto twice = test::render(again, clip, test::request_for(clip, Codec::kH264, Container::kMatroska), 7);
  ASSERT_TRUE(twice) << twice.error().message;
  for (const auto* copy : {&*once, &*twice}) {
    EXPECT_EQ(packets_md5(copy->path, "a:0"), packets_md5(source, "a:0"));
    EXPECT_NEAR(sound_offset_s(copy->path), sound_offset_s(source), 0.0015);
    EXPECT_TRUE(copy->report.warnings.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, JoinOpusTest, ::testing::Values("in.mkv", "in.mp4"),
                         [](const auto& source) { return std::string(source.param).substr(3); });

TEST(CodecDelayTest, IsMadeGoodWhereATrialShowsIt) {
  const std::vector<OpusTrack> tracks{{2, 0}, {5, 3}, {6, 4}};
  // Ticks of a millisecond; nothing to mend but a rounding; one packet alone says nothing.
  EXPECT_EQ(arguments_after_trial("0,-0.007000\n1,0.001000\n0,47.993000\n1,48.000000\n2,-0.007000\n", tracks),
            (std::vector<std::string>{"-bsf:a:0", "setts=ts=TS+7"}));
  // Ticks of a sample.
  EXPECT_EQ(arguments_after_trial("1,-0.007000,\n1,0.993000,\n", tracks),
            (std::vector<std::string>{"-bsf:a:3", "setts=ts=TS+336"}));
  EXPECT_TRUE(arguments_after_trial("", tracks).empty());
}

}  // namespace
}  // namespace kiln::lane
