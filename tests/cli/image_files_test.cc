#include "cli/image_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <tuple>

#include "tests/base/temp_folder.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

class ImageFilesTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  test::TempFolder folder_;
};

TEST_F(ImageFilesTest, StateOfAnOutputIsKeptByARenameAndLostByAChange) {
  EXPECT_EQ(output_state(folder_ / "%d.png"), "");
  EXPECT_EQ(output_state(folder_ / "out.mp4"), "");
  fs::create_directory(folder_ / "part");
  for (const char* name : {"part/1.png", "part/2.png", "part/out.mp4", "3.jpg"}) write(name, name);
  const std::string images = output_state(folder_ / "part/%d.png");
  const std::string file = output_state(folder_ / "part/out.mp4");
  for (const char* name : {"1.png", "2.png", "out.mp4"}) {
    fs::rename(folder_ / ("part/" + std::string(name)), folder_ / name);
  }
  EXPECT_EQ(output_state(folder_ / "%d.png"), images);
  EXPECT_EQ(output_state(folder_ / "out.mp4"), file);
  write("4.png", "one more");
  EXPECT_NE(output_state(folder_ / "%d.png"), images);
  fs::remove(folder_ / "4.png");
  EXPECT_EQ(output_state(folder_ / "%d.png"), images);
  write("2.png", "another one");
  EXPECT_NE(output_state(folder_ / "%d.png"), images);
}

TEST_F(ImageFilesTest, AnOutputBesideItsSourceIsNoPartOfIt) {
  write("1.png", "picture");
  for (const auto& [source, output, name] : {std::tuple("", "large_%d.png", "large_1.png"),
                                             std::tuple("", "out.mkv", "out.mkv"),
                                             std::tuple("*.png", "large_%d.png", "large_1.png")}) {
    const std::string before = source_state(folder_ / source, folder_ / output).value();
    EXPECT_FALSE(before.empty());
    write(name, "made by us");
    EXPECT_EQ(source_state(folder_ / source, folder_ / output).value(), before) << output;
    fs::remove(folder_ / name);
  }
}

TEST_F(ImageFilesTest, MissingSourceIsSaidAndMissingImagesAreLeftToTheLane) {
  const auto missing = source_state(folder_ / "none.mp4", folder_ / "out.mkv");
  ASSERT_FALSE(missing);
  EXPECT_EQ(exit_code(missing.error()), 66);
  EXPECT_EQ(source_state(folder_ / "none_%d.png", folder_ / "out.mkv").value(), "");
}

}  // namespace
}  // namespace kiln::cli
