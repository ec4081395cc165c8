#include "lane/core/clip_size.h"

#include <gtest/gtest.h>

#include <ostream>

#include "lane/core/latent_windows.h"

namespace kiln::lane {
namespace {

sharding::GeneratorManifest wan() {
  sharding::GeneratorManifest manifest;
  manifest.name = "Wan";
  manifest.patch = {1, 2, 2};
  manifest.grid_max = 1024;
  manifest.latent_channels = 16;
  manifest.stride_time = 4;
  manifest.stride_space = 8;
  return manifest;
}

TEST(ClipSizeTest, IsCountedInLatents) {
  const auto size = latent_size_of(wan(), {1280, 720, 81});
  ASSERT_TRUE(size) << size.error().message;
  EXPECT_EQ(size->channels, 16);
  EXPECT_EQ(size->frames, 21);
  EXPECT_EQ(size->height, 90);
  EXPECT_EQ(size->width, 160);
  EXPECT_EQ(latent_size_of(wan(), {16, 16, 1})->frames, 1);
  EXPECT_TRUE(latent_size_of(wan(), {16384, 16, 4093}));
}

struct BadSize {
  const char* name;
  ClipSize size;
  const char* message;
};

void PrintTo(const BadSize& row, std::ostream* out) { *out << row.name; }

class RefusedClipSizeTest : public testing::TestWithParam<BadSize> {};

TEST_P(RefusedClipSizeTest, SaysTheNearestThatWorks) {
  const auto size = latent_size_of(wan(), GetParam().size);
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(size.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, RefusedClipSizeTest,
    testing::Values(
        BadSize{"OddWidth", {830, 480, 81}, "a size of 830x480: Wan makes multiples of 16x16 up to 16384x16384; the nearest is 832x480"},
        BadSize{"NoHeight", {832, 0, 81}, "a size of 832x0: Wan makes multiples of 16x16 up to 16384x16384; the nearest is 832x16"},
        BadSize{"TooWide", {20000, 1080, 81}, "a size of 20000x1080: Wan makes multiples of 16x16 up to 16384x16384; the nearest is 16384x1088"},
        BadSize{"EightyFrames", {832, 480, 80}, "80 frames: Wan makes 1 and then 4 more at a time, up to 4093; the nearest is 81"},
        BadSize{"NoFrames", {832, 480, 0}, "0 frames: Wan makes 1 and then 4 more at a time, up to 4093; the nearest is 1"},
        BadSize{"TooLong", {832, 480, 5000}, "5000 frames: Wan makes 1 and then 4 more at a time, up to 4093; the nearest is 4093"}),
    [](const auto& row) { return row.param.name; });

TEST(LatentWindowsTest, OverlapAndEndWithTheSide) {
  const auto windows = lay_latent_windows({.size = 256, .stride = 192}, 60, 104, 8);
  ASSERT_TRUE(windows) << windows.error().message;
  EXPECT_EQ(windows->rows, (std::vector<LatentWindow>{{0, 32}, {24, 32}, {48, 12}}));
  EXPECT_EQ(windows->columns, (std::vector<LatentWindow>{{0, 32}, {24, 32}, {48, 32}, {72, 32}, {96, 8}}));
  EXPECT_EQ(windows->stride_pixels, 192);
  EXPECT_EQ(windows->blend_pixels, 64);
  EXPECT_FALSE(windows->whole());
}

TEST(LatentWindowsTest, OneIsEnoughWhereAllFitsIntoIt) {
  const auto windows = lay_latent_windows({}, 32, 20, 8);
  ASSERT_TRUE(windows);
  EXPECT_TRUE(windows->whole());
  EXPECT_EQ(windows->rows, (std::vector<LatentWindow>{{0, 32}}));
}

TEST(LatentWindowsTest, WhatLeavesGapsIsRefused) {
  for (const DecodeTiles tiles : {DecodeTiles{256, 260}, DecodeTiles{256, 0}, DecodeTiles{250, 192}, DecodeTiles{256, 100}}) {
    const auto windows = lay_latent_windows(tiles, 60, 104, 8);
    ASSERT_FALSE(windows);
    EXPECT_NE(windows.error().message.find("both are multiples of 8"), std::string::npos);
  }
}

}  // namespace
}  // namespace kiln::lane
