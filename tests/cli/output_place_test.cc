#include "cli/upscale/output_place.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/base/stopping_file_system.h"

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

TEST_F(OutputPlaceTest, ASequenceThatWasHalfMovedIsMovedByItsOwnJobAlone) {
  const std::string pattern = folder_ + "/%03d.png";
  const OutputPlace place = OutputPlace::reserve(pattern, kJob, false).value();
  const std::string temporary = fs::path(place.temporary()).parent_path();
  for (const char* name : {"/001.png", "/002.png", "/003.png"}) write(temporary + name, name);
  test::StoppingFileSystem files;
  files.stop_at(3 + 3 + 1 + 2);  // images, mark, folder; the second rename does not happen
  EXPECT_FALSE(place.commit(files));
  EXPECT_TRUE(fs::exists(folder_ + "/001.png"));
  EXPECT_FALSE(fs::exists(folder_ + "/002.png"));
  place.discard();  // as a command does that ends with an error
  ASSERT_TRUE(OutputPlace::complete(posix_file_system(), pattern, std::string(64, 'c')));
  EXPECT_FALSE(fs::exists(folder_ + "/002.png"));
  EXPECT_FALSE(OutputPlace::reserve(pattern, std::string(64, 'c'), false));
  ASSERT_TRUE(OutputPlace::complete(posix_file_system(), pattern, kJob));
  EXPECT_EQ(read(folder_ + "/003.png"), "/003.png");
  EXPECT_FALSE(fs::exists(temporary));
}

// Where the machine loses power, what is under its name has its bytes.
TEST_F(OutputPlaceTest, ImagesAndMarkAreDurableBeforeTheFirstIsMoved) {
  const OutputPlace place = OutputPlace::reserve(folder_ + "/%03d.png", kJob, false).value();
  const std::string temporary = fs::path(place.temporary()).parent_path();
  for (const char* name : {"/001.png", "/002.png"}) write(temporary + name, name);
  test::StoppingFileSystem files;
  ASSERT_TRUE(place.commit(files));
  const auto& calls = files.calls();
  const auto at = [&](const std::string& call) { return std::find(calls.begin(), calls.end(), call) - calls.begin(); };
  const auto first_move = at("rename " + temporary + "/001.png");
  ASSERT_LT(first_move, static_cast<std::ptrdiff_t>(calls.size()));
  EXPECT_LT(at("sync_file " + temporary + "/001.png"), first_move);
  EXPECT_LT(at("sync_file " + temporary + "/002.png"), first_move);
  EXPECT_LT(at("sync_directory " + temporary), first_move);
  EXPECT_LT(at("sync_directory " + folder_), first_move);
  const auto forgotten = at("remove_file " + temporary + "/.moving");
  ASSERT_LT(forgotten, static_cast<std::ptrdiff_t>(calls.size()));
  EXPECT_EQ(calls[static_cast<std::size_t>(forgotten) - 1], "sync_directory " + folder_);
}

TEST_F(OutputPlaceTest, NothingOfALongerSequenceStaysWhereItIsReplaced) {
  for (const char* name : {"/f1.png", "/f2.png", "/f3.png", "/f33.png", "/fine.png", "/f3.jpg"}) write(folder_ + name, "old");
  const OutputPlace place = OutputPlace::reserve(folder_ + "/f%d.png", kJob, true).value();
  const std::string temporary = fs::path(place.temporary()).parent_path();
  for (const char* name : {"/f1.png", "/f2.png"}) write(temporary + name, "new");
  ASSERT_TRUE(place.commit(posix_file_system()));
  EXPECT_EQ(read(folder_ + "/f2.png"), "new");
  EXPECT_FALSE(fs::exists(folder_ + "/f3.png"));
  EXPECT_FALSE(fs::exists(folder_ + "/f33.png"));
  EXPECT_EQ(read(folder_ + "/fine.png"), "old");
  EXPECT_EQ(read(folder_ + "/f3.jpg"), "old");
}

// Others may write where the mark lies.
TEST_F(OutputPlaceTest, AMarkRemovesNothingButImagesOfItsSequence) {
  const std::string pattern = folder_ + "/f%d.png";
  const OutputPlace place = OutputPlace::reserve(pattern, kJob, true).value();
  write(folder_ + "/precious", "mine");
  write(fs::path(place.temporary()).parent_path() / ".moving", std::string("precious\0../f1.png\0f9.png\0", 26));
  ASSERT_TRUE(OutputPlace::complete(posix_file_system(), pattern, kJob));
  EXPECT_EQ(read(folder_ + "/precious"), "mine");
}

TEST_F(OutputPlaceTest, NamesMayBeAsLongAsAFilesAreAndNoLonger) {
  const std::string longest = folder_ + "/" + std::string(251, 'n') + ".mkv";
  const OutputPlace place = OutputPlace::reserve(longest, kJob, false).value();
  write(place.temporary(), "video");
  ASSERT_TRUE(place.commit(posix_file_system()));
  EXPECT_EQ(read(longest), "video");
  const auto refused = OutputPlace::reserve(folder_ + "/n" + std::string(251, 'n') + ".mkv", kJob, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 73);
}

TEST_F(OutputPlaceTest, AVideoMayHaveANumberFieldInItsName) {
  for (const char* name : {"/100%d.mkv", "/shot%03d.mkv"}) {
    const OutputPlace place = OutputPlace::reserve(folder_ + name, kJob, false).value();
    write(place.temporary(), "video");
    ASSERT_TRUE(place.commit(posix_file_system()));
    EXPECT_EQ(read(folder_ + name), "video");
    EXPECT_EQ(exit_code(OutputPlace::reserve(folder_ + name, kJob, false).error()), 73);
  }
}

TEST_F(OutputPlaceTest, ASequenceWithoutImagesIsAnError) {
  const OutputPlace place = OutputPlace::reserve(folder_ + "/%03d.png", kJob, false).value();
  write(fs::path(place.temporary()).parent_path() / "out.mkv", "no image of it");
  EXPECT_FALSE(place.commit(posix_file_system()));
  place.discard();
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(OutputPlaceTest, NamesThatNoOutputCanHaveAreRefusedBeforeAnythingIsMade) {
  for (const char* name : {"/50%.png", "/one.png", "/%d_%d.png", "/.%d.png", "/out.avi", "/out"}) {
    const auto refused = OutputPlace::reserve(folder_ + name, kJob, false);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(exit_code(refused.error()), 2);
    EXPECT_TRUE(refused.error().message.starts_with(folder_ + name)) << refused.error().message;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(OutputPlaceTest, WhatAnEarlierRunLeftBesideThePlaceStaysUntilItIsReplaced) {
  write(OutputPlace::reserve(folder_ + "/out.mkv", kJob, false).value().temporary(), "all that is left of a result");
  const OutputPlace place = OutputPlace::reserve(folder_ + "/out.mkv", kJob, false).value();
  EXPECT_EQ(read(place.temporary()), "all that is left of a result");
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

TEST(OutputNamesTest, CapitalsChangeNothing) {
  const auto one = [](const char* source, const char* codec) { return output_names({source}, "out", "2", codec)[0]; };
  EXPECT_EQ(one("IMG_1.MP4", ""), "out/IMG_1_x2.mp4");
  EXPECT_EQ(one("IMG_1.MOV", "prores"), "out/IMG_1_x2.mov");
  EXPECT_EQ(one("a.M4V", ""), "out/a_x2.mp4");
  EXPECT_EQ(one("a.m4v", "ffv1"), "out/a_x2.mkv");
}

}  // namespace
}  // namespace kiln::cli
