#include "lane/media/codec.h"

#include <gtest/gtest.h>

#include "lane/media/encoder_settings.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

constexpr PixelFormat k420{PixelLayout::kYuv420, 8, false};
constexpr PixelFormat k422{PixelLayout::kYuv422, 8, false};
constexpr PixelFormat k444{PixelLayout::kYuv444, 8, false};
constexpr PixelFormat kRgb24{PixelLayout::kRgb, 8, true};
constexpr PixelFormat kRgb48{PixelLayout::kRgb, 16, true};

TEST(CodecTest, NamesGoBothWays) {
  for (const Codec codec : {Codec::kH264, Codec::kHevc, Codec::kAv1, Codec::kFfv1, Codec::kProres, Codec::kPng}) {
    EXPECT_EQ(codec_from_name(to_string(codec)), codec);
  }
  EXPECT_FALSE(codec_from_name("divx"));
  EXPECT_FALSE(codec_from_name(""));
}

TEST(CodecTest, ContainerFollowsTheOutputsName) {
  EXPECT_EQ(container_of_output("a/b.mp4"), Container::kMp4);
  EXPECT_EQ(container_of_output("b.M4V"), Container::kMp4);
  EXPECT_EQ(container_of_output("b.mov"), Container::kMov);
  EXPECT_EQ(container_of_output("dir.mp4/b.mkv"), Container::kMatroska);
  EXPECT_EQ(container_of_output("b.nut"), Container::kNut);
  EXPECT_EQ(container_of_output("out_%05d.png"), Container::kImageSequence);
  EXPECT_EQ(container_of_output("100%d.mkv"), Container::kMatroska);
  for (const char* name : {"b", "b.avi", "dir.mp4/b", ".mp4x", "one.png", "50%.png", "%d_%d.png", "of_%d/one.png", ""}) {
    const auto container = container_of_output(name);
    ASSERT_FALSE(container) << name;
    EXPECT_FALSE(container.error().message.empty());
  }
}

struct SizeCase {
  Codec codec;
  Container container;
  PixelFormat format;
  int width;
  int height;
  bool holds;
};

TEST(CodecTest, RefusesWhatCannotBeHeldAndSaysWhatWorks) {
  const SizeCase cases[] = {
      {Codec::kH264, Container::kMp4, k420, 1280, 720, true},
      {Codec::kH264, Container::kMp4, k420, 1281, 720, false},
      {Codec::kH264, Container::kMp4, k420, 1280, 721, false},
      {Codec::kH264, Container::kMp4, k422, 1280, 721, true},
      {Codec::kH264, Container::kMp4, k422, 1281, 720, false},
      {Codec::kH264, Container::kMp4, k444, 1281, 721, true},
      {Codec::kH264, Container::kMp4, k420, 40000, 720, false},
      {Codec::kHevc, Container::kMp4, k420, 16, 16, false},
      {Codec::kAv1, Container::kMatroska, k420, 62, 64, false},
      {Codec::kAv1, Container::kMatroska, k444, 640, 640, false},
      {Codec::kAv1, Container::kMov, k420, 640, 640, false},
      {Codec::kFfv1, Container::kMatroska, k420, 33, 17, true},
      {Codec::kFfv1, Container::kMp4, k420, 32, 16, false},
      {Codec::kProres, Container::kMov, k420, 640, 640, false},
      {Codec::kPng, Container::kImageSequence, kRgb24, 33, 17, true},
      {Codec::kH264, Container::kImageSequence, k420, 64, 64, false},
  };
  for (const auto& one : cases) {
    const auto status = check_codec(one.codec, one.container, one.format, one.width, one.height);
    EXPECT_EQ(status.has_value(), one.holds)
        << to_string(one.codec) << " in " << to_string(one.container) << ' ' << one.width << 'x' << one.height;
    if (status) continue;
    EXPECT_EQ(exit_code(status.error()), 65) << status.error().message;
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
  }
  const auto odd = check_codec(Codec::kH264, Container::kMatroska, k420, 641, 480);
  EXPECT_NE(odd.error().message.find("ffv1"), std::string::npos) << odd.error().message;
}

TEST(CodecTest, NearestFormatKeepsRatherMoreThanLess) {
  struct Case {
    Codec codec;
    PixelFormat from;
    PixelFormat to;
  };
  const Case cases[] = {
      {Codec::kH264, k422, k422},
      {Codec::kH264, {PixelLayout::kYuv420, 12, false}, {PixelLayout::kYuv420, 10, false}},
      {Codec::kH264, kRgb24, k444},
      {Codec::kProres, k420, {PixelLayout::kYuv422, 10, false}},
      {Codec::kProres, k444, {PixelLayout::kYuv444, 10, false}},
      {Codec::kAv1, k444, k420},
      {Codec::kPng, {PixelLayout::kYuv420, 10, false}, kRgb48},
      {Codec::kPng, k420, kRgb24},
      {Codec::kPng, {PixelLayout::kGray, 8, false}, {PixelLayout::kGray, 8, false}},
      {Codec::kH264, {PixelLayout::kGray, 16, false}, {PixelLayout::kYuv420, 10, false}},
      {Codec::kFfv1, {PixelLayout::kYuv420, 10, false}, {PixelLayout::kYuv420, 10, false}},
  };
  for (const auto& one : cases) {
    const auto nearest = nearest_encodable_format(one.codec, one.from);
    ASSERT_TRUE(nearest);
    EXPECT_EQ(*nearest, one.to) << to_string(one.codec) << ": " << one.from.ffmpeg_name() << " became "
                                << nearest->ffmpeg_name();
  }
}

TEST(CodecTest, EncoderThatIsNotBuiltInIsNamed) {
  MediaTools bare = test::tools();
  bare.encoders = {"mpeg4"};
  const auto status = check_encoder(bare, Codec::kHevc);
  ASSERT_FALSE(status);
  EXPECT_EQ(exit_code(status.error()), 78);
  EXPECT_NE(status.error().message.find("libx265"), std::string::npos) << status.error().message;
}

class EncoderSettingsTest : public ::testing::Test {
 protected:
  EncoderSettingsTest() : clip_(test::synthetic_clip(96, 64, k420, {1, 25}, {0, 1, 2})) {
    request_ = test::request_for(clip_, Codec::kH264, Container::kMp4);
  }
  std::string digest(const ClipInfo& clip, const OutputRequest& request) {
    const auto settings = plan_encoder(test::tools(), clip, request);
    EXPECT_TRUE(settings) << settings.error().message;
    return settings ? settings->digest : "";
  }

  ClipInfo clip_;
  OutputRequest request_;
};

TEST_F(EncoderSettingsTest, DigestChangesWithEverythingThatShapesTheOutput) {
  const std::string base = digest(clip_, request_);
  EXPECT_EQ(digest(clip_, request_), base);
  std::vector<std::string> others;
  const auto add = [&](auto change) {
    ClipInfo clip = clip_;
    OutputRequest request = request_;
    change(clip, request);
    others.push_back(digest(clip, request));
  };
  add([](ClipInfo&, OutputRequest& r) { r.codec = Codec::kHevc; });
  add([](ClipInfo&, OutputRequest& r) { r.width = 128; });
  add([](ClipInfo&, OutputRequest& r) { r.format = k444; });
  add([](ClipInfo&, OutputRequest& r) { r.quality = 30; });
  add([](ClipInfo&, OutputRequest& r) { r.preset = "slow"; });
  add([](ClipInfo&, OutputRequest& r) { r.encoder_threads = 7; });
  add([](ClipInfo&, OutputRequest& r) { r.color.range = ColorRange::kFull; });
  add([](ClipInfo&, OutputRequest& r) { r.color.primaries = ColorPrimaries::kBt2020; });
  add([](ClipInfo& c, OutputRequest&) { c.time_base = {1, 1000}; });
  add([](ClipInfo& c, OutputRequest&) { c.frame_rate = {30, 1}; });
  add([](ClipInfo& c, OutputRequest&) { c.sample_aspect = {4, 3}; });
  add([](ClipInfo& c, OutputRequest&) { c.hdr.light = ContentLight{1000, 400}; });
  for (std::size_t i = 0; i < others.size(); ++i) EXPECT_NE(others[i], base) << i;
  MediaTools other = test::tools();
  other.identity = "another build";
  EXPECT_NE(plan_encoder(other, clip_, request_)->digest, base);
}

TEST_F(EncoderSettingsTest, RefusesQualitiesAndPresetsThatDoNotExist) {
  request_.quality = 52;
  EXPECT_FALSE(plan_encoder(test::tools(), clip_, request_));
  request_.quality = -1;
  request_.preset = "medum";
  const auto settings = plan_encoder(test::tools(), clip_, request_);
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().message.find("'medium'"), std::string::npos) << settings.error().message;
}

}  // namespace
}  // namespace kiln::lane
