#include "base/text.h"

#include <gtest/gtest.h>

#include <array>

namespace kiln {
namespace {

constexpr std::array<std::string_view, 3> kKeys{"lanes", "executor", "segment_frames"};

TEST(TextTest, NearestNameFindsTypingErrorsAndNothingElse) {
  EXPECT_EQ(nearest_name("exectuor", kKeys), "executor");
  EXPECT_EQ(nearest_name("lane", kKeys), "lanes");
  EXPECT_EQ(nearest_name("bitrate", kKeys), "");
  EXPECT_EQ(did_you_mean("segment_frame", kKeys), " Did you mean 'segment_frames'?");
}

TEST(TextTest, FormatsSizesAndDurationsForPeople) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(2516582), "2.4 MiB");
  EXPECT_EQ(format_seconds(0.44), "0.4 s");
  EXPECT_EQ(format_seconds(125), "2:05");
  EXPECT_EQ(format_seconds(3725), "1:02:05");
}

TEST(TextTest, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(trim(" \tx y\n"), "x y");
  EXPECT_EQ(trim("  "), "");
}

}  // namespace
}  // namespace kiln
