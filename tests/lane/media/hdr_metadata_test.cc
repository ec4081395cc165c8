// Static HDR10 metadata as options and boxes, and turned pictures in Matroska: the pure parts.
#include "lane/media/hdr_metadata.h"

#include <gtest/gtest.h>

#include "lane/media/join_losses.h"
#include "lane/media/mkv_rotation.h"
#include "lane/media/sample_entry.h"

namespace kiln::lane {
namespace {

const HdrMetadata kGraded{MasteringDisplay{{34000, 16000}, {13250, 34500}, {7500, 3000}, {15635, 16450}, 10000000, 50},
                          ContentLight{1000, 400}};

TEST(HdrMetadataTest, EachEncoderReadsItInItsOwnWords) {
  EXPECT_EQ(x265_hdr_options(kGraded),
            ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400");
  EXPECT_EQ(x264_hdr_options(kGraded),
            ":mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):cll=1000,400");
  EXPECT_EQ(svtav1_hdr_options(kGraded),
            ":mastering-display=G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)"
            "L(1000.0000,0.0050):content-light=1000,400");
  EXPECT_EQ(x265_hdr_options({std::nullopt, ContentLight{1000, 400}}), ":max-cll=1000,400");
  EXPECT_EQ(x265_hdr_options({}) + x264_hdr_options({}) + svtav1_hdr_options({}), "");
}

TEST(HdrMetadataTest, BoxesGoBehindTheEntrysOwnOnceAndReplaceAnEncoders) {
  EXPECT_EQ(hdr_boxes(kGraded).size(), 32U + 12U);
  EXPECT_TRUE(hdr_boxes({}).empty());
  // A sample description with one entry and no boxes.
  std::vector<std::byte> stsd(16 + 86);
  stsd[3] = std::byte{102};
  stsd[15] = std::byte{1};
  stsd[19] = std::byte{86};
  const auto described = with_boxes(stsd, hdr_boxes(kGraded));
  EXPECT_EQ(described.size(), 102U + 44U);
  EXPECT_EQ(std::to_integer<unsigned>(described[3]), 146U);
  EXPECT_EQ(std::to_integer<unsigned>(described[19]), 130U);
  // Taken for what an encoder wrote: gone, as the join writes it for all codecs.
  EXPECT_EQ(*normalised_description(described, {}), stsd);
}

TEST(MatroskaTurnTest, QuarterTurnsAreToldFromMirrorsAndSlants) {
  constexpr std::int32_t kOne = 65536;
  const auto matrix = [](std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
    return DisplayMatrix{a, b, 0, c, d, 0, 0, 0, 1 << 30};
  };
  EXPECT_EQ(quarter_turn(matrix(0, -kOne, kOne, 0)), 90);
  EXPECT_EQ(quarter_turn(matrix(-kOne, 0, 0, -kOne)), 180);
  EXPECT_EQ(quarter_turn(matrix(0, kOne, -kOne, 0)), 270);
  EXPECT_EQ(quarter_turn(matrix(kOne, 0, 0, kOne)), std::nullopt);
  EXPECT_EQ(quarter_turn(matrix(-kOne, 0, 0, kOne)), std::nullopt);
  EXPECT_EQ(quarter_turn(matrix(0, kOne, kOne, 0)), std::nullopt);
  EXPECT_EQ(quarter_turn(matrix(kOne, -kOne, kOne, kOne)), std::nullopt);
  MediaTools old;
  old.major_version = 5;
  EXPECT_TRUE(matroska_holds_turn(old, matrix(0, kOne, -kOne, 0)));
  EXPECT_TRUE(matroska_holds_turn(old, matrix(kOne, 0, 0, kOne)));
  EXPECT_FALSE(matroska_holds_turn(old, matrix(-kOne, 0, 0, kOne)));
  MediaTools fresh;
  fresh.major_version = 8;
  EXPECT_TRUE(matroska_holds_turn(fresh, matrix(-kOne, 0, 0, kOne)));
}

TEST(PictureLossTest, WhatAnOutputCannotSayIsNamedAndNothingElse) {
  ClipInfo clip;
  clip.source.path = "a.mkv";
  EncoderSettings settings;
  const auto losses = [&](Codec codec, Container container, const char* format, ChromaSiting siting) {
    settings.request.codec = codec;
    settings.request.container = container;
    settings.request.format = *PixelFormat::from_ffmpeg_name(format);
    settings.request.color.siting = siting;
    std::string all;
    for (const std::string& loss : picture_losses(clip, settings)) all += loss + "\n";
    return all;
  };
  EXPECT_EQ(losses(Codec::kFfv1, Container::kNut, "yuv420p", ChromaSiting::kLeft), "");
  EXPECT_EQ(losses(Codec::kHevc, Container::kMp4, "yuv420p", ChromaSiting::kTopLeft), "");
  EXPECT_EQ(losses(Codec::kAv1, Container::kMp4, "yuv420p", ChromaSiting::kTopLeft), "");
  EXPECT_EQ(losses(Codec::kProres, Container::kMov, "yuv422p10le", ChromaSiting::kTopLeft), "");
  EXPECT_NE(losses(Codec::kAv1, Container::kMp4, "yuv420p", ChromaSiting::kCenter).find("sited center"),
            std::string::npos);
  EXPECT_NE(losses(Codec::kFfv1, Container::kMatroska, "yuv420p10le", ChromaSiting::kTopLeft).find("sited topleft"),
            std::string::npos);
  settings.hdr = kGraded;
  EXPECT_EQ(losses(Codec::kFfv1, Container::kMatroska, "yuv420p10le", ChromaSiting::kLeft), "");
  EXPECT_EQ(losses(Codec::kHevc, Container::kNut, "yuv420p10le", ChromaSiting::kLeft), "");
  EXPECT_NE(losses(Codec::kFfv1, Container::kNut, "yuv420p10le", ChromaSiting::kLeft).find("HDR10"),
            std::string::npos);
  settings.hdr = {};
  settings.request.color.range = ColorRange::kFull;
  EXPECT_NE(losses(Codec::kFfv1, Container::kMov, "yuv420p", ChromaSiting::kLeft).find("full range"),
            std::string::npos);
}

}  // namespace
}  // namespace kiln::lane
