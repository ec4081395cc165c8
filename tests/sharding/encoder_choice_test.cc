#include "sharding/encoder_choice.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

EncoderQuestion question(EncoderWish wish) {
  EncoderQuestion out;
  out.wish = wish;
  out.codec = "hevc";
  out.pixel_format = "yuv420p10le";
  out.width = 7680;
  out.height = 4320;
  out.lanes = {{"a lane 0", {"hevc_nvenc yuv420p", "hevc_nvenc p010le"}}, {"b lane 0", {"hevc_nvenc p010le", "h264_nvenc yuv420p"}}};
  return out;
}

TEST(EncoderChoiceTest, SoftwareUnlessAskedFor) {
  const auto choice = choose_encoder(question(EncoderWish::kSoftware));
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->encoder, "");
  EXPECT_EQ(encoder_wish_from_string("").value_or(EncoderWish::kAuto), EncoderWish::kSoftware);
  for (const EncoderWish wish : {EncoderWish::kSoftware, EncoderWish::kHardware, EncoderWish::kAuto}) {
    EXPECT_EQ(encoder_wish_from_string(to_string(wish)).value_or(EncoderWish::kSoftware), wish);
  }
  EXPECT_FALSE(encoder_wish_from_string("nvenc"));
}

TEST(EncoderChoiceTest, OneForAllLanesWhereEachHasIt) {
  for (const EncoderWish wish : {EncoderWish::kHardware, EncoderWish::kAuto}) {
    const auto choice = choose_encoder(question(wish));
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->encoder, "hevc_nvenc");
  }
}

TEST(EncoderChoiceTest, WhatOneLaneLacksNobodyUses) {
  EncoderQuestion lacking = question(EncoderWish::kAuto);
  lacking.pixel_format = "yuv420p";
  const auto choice = choose_encoder(lacking);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->encoder, "");
  EXPECT_EQ(choice->reason, "b lane 0 has no hevc_nvenc for yuv420p");
  lacking.wish = EncoderWish::kHardware;
  const auto refused = choose_encoder(lacking);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "encoder = \"hardware\": b lane 0 has no hevc_nvenc for yuv420p");
}

TEST(EncoderChoiceTest, CodecFormatAndSizeMustBeTheCards) {
  const auto reason = [](auto change) {
    EncoderQuestion asked = question(EncoderWish::kAuto);
    change(asked);
    const auto choice = choose_encoder(asked);
    return choice ? choice->reason : "refused";
  };
  EXPECT_EQ(reason([](auto& asked) { asked.codec = "ffv1"; }), "cards do not encode ffv1");
  EXPECT_EQ(reason([](auto& asked) { asked.pixel_format = "yuv422p"; }), "encoders of cards do not take yuv422p for hevc");
  EXPECT_EQ(reason([](auto& asked) { asked.width = 8194; }), "encoders of cards take hevc from 192x128 to 8192x8192, not 8194x4320");
  EXPECT_EQ(reason([](auto& asked) { asked.codec = "h264", asked.pixel_format = "yuv420p"; }),
            "encoders of cards take h264 from 192x128 to 4096x4096, not 7680x4320");
  EXPECT_EQ(reason([](auto& asked) { asked.height = 100; }), "encoders of cards take hevc from 192x128 to 8192x8192, not 7680x100");
  EXPECT_EQ(reason([](auto& asked) { asked.preset = "fast"; }), "encoders of cards have the presets p1 to p7, not 'fast'");
  EXPECT_EQ(reason([](auto& asked) { asked.preset = "p3"; }), "every lane has it");
  EXPECT_EQ(reason([](auto& asked) { asked.lanes.clear(); }), "no lane is there");
  EXPECT_EQ(reason([](auto& asked) { asked.lanes.push_back({"cpu lane 0", {}}); }), "cpu lane 0 has no hevc_nvenc for yuv420p10le");
}

}  // namespace
}  // namespace kiln::sharding
