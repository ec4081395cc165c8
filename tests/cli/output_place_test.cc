#include "cli/upscale/output_place.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;
const std::string kJob(64, 'b');

class OutputPlaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kiln-out-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string folder_;
};

TEST_F(OutputPlaceTest, NothingStandsUnderTheNameBeforeCommit) {
  const std::string output = folder_ + "/out.mp4";
  const OutputPlace place = OutputPlace::reserve(output, kJob, false).value();
  write(place.temporary(), "video");
  EXPECT_FALSE(fs::exists(output));
  ASSERT_TRUE(place.commit(posix_file_system()));
  EXPECT_EQ(read(output), "video");
  EXPECT_FALSE(fs::exists(place.temporary()));
}

TEST_F(OutputPlaceTest, AnExistingOutputIsKeptUnlessToldOtherwise) {
  const std::string output = folder_ + "/out.mp4";
  write(output, "precious");
  const auto refused = OutputPlace::reserve(output, kJob, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 73);
  const OutputPlace place = OutputPlace::reserve(output, kJob, true).value();
  write(place.temporary(), "new");
  EXPECT_EQ(read(output), "precious");
  ASSERT_TRUE(place.commit(posix_file_system()));
  EXPECT_EQ(read(output), "new");
}

TEST_F(OutputPlaceTest, MissingFolderAndFolderAsOutputAreRefused) {
  EXPECT_EQ(exit_code(OutputPlace::reserve(folder_ + "/no/out.mp4", kJob, false).error()), 73);
  fs::create_directory(folder_ + "/dir");
  EXPECT_EQ(exit_code(OutputPlace::reserve(folder_ + "/dir", kJob, true).error()), 73);
}

TEST_F(OutputPlaceTest, ImageSequencesComeIntoPlaceTogether) {
  const std::string pattern = folder_ + "/frame_%04d.png";
  const OutputPlace place = OutputPlace::reserve(pattern, kJob, false).value();
  const std::string temporary = fs::path(place.temporary()).parent_path();
  write(temporary + "/frame_0001.png", "1");
  write(temporary + "/frame_0002.png", "2");
  ASSERT_TRUE(place.commit(posix_file_system()));
  EXPECT_EQ(read(folder_ + "/frame_0002.png"), "2");
  EXPECT_FALSE(fs::exists(temporary));
  EXPECT_EQ(exit_code(OutputPlace::reserve(pattern, kJob, false).error()), 73);
}

TEST_F(OutputPlaceTest, ASequenceThatWasHalfMovedIsNotInTheWayOfItsOwnJob) {
  const OutputPlace place = OutputPlace::reserve(folder_ + "/%03d.png", kJob, false).value();
  write(folder_ + "/001.png", "moved already");
  EXPECT_FALSE(OutputPlace::reserve(folder_ + "/%03d.png", kJob, false));
  const std::string temporary = fs::path(place.temporary()).parent_path();
  fs::create_directory(temporary);
  write(temporary + "/.moving", "");
  EXPECT_FALSE(OutputPlace::reserve(folder_ + "/%03d.png", std::string(64, 'c'), false));
  const auto again = OutputPlace::reserve(folder_ + "/%03d.png", kJob, false);
  ASSERT_TRUE(again);
  write(temporary + "/001.png", "new");
  ASSERT_TRUE(again->commit(posix_file_system()));
  EXPECT_FALSE(fs::exists(temporary));
}

TEST_F(OutputPlaceTest, DiscardLeavesNothing) {
  const OutputPlace place = OutputPlace::reserve(folder_ + "/out.mkv", kJob, false).value();
  write(place.temporary(), "half");
  place.discard();
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST(OutputNamesTest, AreDistinctAndKeepWhatTheContainerAllows) {
  EXPECT_EQ(output_names({"a/x.mp4", "b/x.mp4", "c/y.avi"}, "out", "4", ""),
            (std::vector<std::string>{"out/x_x4.mp4", "out/x_x4_2.mp4", "out/y_x4.mkv"}));
}

TEST(OutputNamesTest, ContainersThatCannotHoldTheCodecGiveWay) {
  const auto one = [](const char* source, const char* codec) { return output_names({source}, "out", "2", codec)[0]; };
  EXPECT_EQ(one("a.mp4", "h264"), "out/a_x2.mp4");
  EXPECT_EQ(one("a.mp4", "ffv1"), "out/a_x2.mkv");
  EXPECT_EQ(one("a.mp4", "prores"), "out/a_x2.mov");
  EXPECT_EQ(one("a.mov", "av1"), "out/a_x2.mp4");
  EXPECT_EQ(one("a.mov", "ffv1"), "out/a_x2.mov");
}

}  // namespace
}  // namespace kiln::cli
