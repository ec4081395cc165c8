#include "base/image_pattern.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(ImagePatternTest, HoldsNumbersOfAtLeastItsWidth) {
  const auto pattern = image_pattern("some/folder/shot_%04d.png");
  ASSERT_TRUE(pattern);
  for (const char* name : {"shot_0001.png", "shot_12345.png"}) EXPECT_TRUE(pattern->holds(name)) << name;
  for (const char* name : {"shot_001.png", "shot_00x1.png", "shot_.png", "shot_0001.jpg", "a_shot_0001.png", "shot_old1.png"}) {
    EXPECT_FALSE(pattern->holds(name)) << name;
  }
  EXPECT_TRUE(image_pattern("%d")->holds("7"));
}

TEST(ImagePatternTest, OtherNamesAreNone) {
  for (const char* path : {"clip.mp4", "shot.mkv", "50%.mkv", "100% real.mkv", "50%.png",
                           "%s.png", "%04d_%04d.png", "100%04.png", "%04d/clip.mp4", ""}) {
    EXPECT_FALSE(image_pattern(path).has_value()) << path;
  }
}

}  // namespace
}  // namespace kiln
