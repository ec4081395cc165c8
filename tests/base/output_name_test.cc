#include "base/output_name.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(OutputNameTest, OnlyImagesWithOneNumberAreASequence) {
  for (const char* path : {"shot_%04d.png", "%d.png", "a/%d.PNG", "of_%d/%3d.png"}) EXPECT_TRUE(is_output_pattern(path)) << path;
  for (const char* path : {"100%d.mkv", "shot%03d.mp4", "%d", "%d.jpg", "50%.png", "%d_%d.png", "of_%d/one.png", ""}) {
    EXPECT_FALSE(is_output_pattern(path)) << path;
  }
}

TEST(OutputNameTest, WhatIsNoOutputIsRefusedByTheNameItWasGiven) {
  for (const char* path : {"a.mp4", "a.M4V", "a.mov", "100%d.mkv", "50%.nut", "shot_%d.png"}) {
    EXPECT_TRUE(check_output_name(path)) << path;
  }
  for (const char* path : {"", "out", "a.avi", "a.mp4/b", "one.png", "50%.png", "%d_%d.png", ".%d.png", "%d.jpg", "a\nb.mkv"}) {
    const Status refused = check_output_name(path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(exit_code(refused.error()), 2);
    EXPECT_TRUE(refused.error().message.starts_with(std::string(path) + ": ")) << refused.error().message;
  }
}

TEST(OutputNameTest, NamesBeyondWhatAFileMayHaveAreRefused) {
  const std::string stem(kFileNameBytesMax - 4, 'n');
  EXPECT_TRUE(check_output_name(stem + ".mkv"));
  EXPECT_TRUE(check_output_name(stem.substr(8) + "%d.png"));
  for (const std::string& name : {stem + "n.mkv", stem.substr(7) + "%d.png", std::string("%0252d.png")}) {
    const Status refused = check_output_name("a/" + name);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(exit_code(refused.error()), 73);
  }
}

}  // namespace
}  // namespace kiln
