#include "worker/image_archive.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/process.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "tests/base/temp_folder.h"

namespace kiln::worker {
namespace {

class ImageArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "images");
    for (const auto& [name, bytes] : {std::pair{"shot_0001.png", 0}, std::pair{"shot_0002.png", 512},
                                      std::pair{"shot_0003.png", 700}}) {
      std::ofstream(folder_ / (std::string("images/") + name)) << std::string(static_cast<std::size_t>(bytes), 'x');
    }
    const Status written = write_image_archive(folder_ / "images", folder_ / "a.tar");
    ASSERT_TRUE(written) << written.error().message;
  }
  test::TempFolder folder_;
};

TEST_F(ImageArchiveTest, TarReadsIt) {
  std::filesystem::create_directories(folder_ / "out");
  SpawnOptions tar;
  tar.argv = {"tar", "-xf", folder_ / "a.tar", "-C", folder_ / "out"};
  const auto done = run_command(tar, std::chrono::seconds(20));
  ASSERT_TRUE(done && done->status.ok()) << done->err;
  EXPECT_EQ(done->err, "");
  EXPECT_EQ(std::filesystem::file_size(folder_ / "out/shot_0001.png"), 0U);
  EXPECT_EQ(read_file(folder_ / "out/shot_0003.png", 1000).value(), std::string(700, 'x'));
}

TEST_F(ImageArchiveTest, SameImagesGiveTheSameBytes) {
  const std::string first = read_file(folder_ / "a.tar", 1U << 20U).value();
  std::filesystem::last_write_time(folder_ / "images/shot_0002.png", std::filesystem::file_time_type::min());
  ASSERT_TRUE(write_image_archive(folder_ / "images", folder_ / "b.tar"));
  EXPECT_EQ(first, read_file(folder_ / "b.tar", 1U << 20U).value());
}

TEST_F(ImageArchiveTest, NamesOfAnyLengthComeBackHereAndWithTar) {
  for (const std::size_t length : {99U, 100U, 101U, 255U}) {
    std::ofstream(folder_ / ("images/" + std::string(length, 'n'))) << length;
  }
  const Status written = write_image_archive(folder_ / "images", folder_ / "c.tar");
  ASSERT_TRUE(written) << written.error().message;
  for (const char* folder : {"ours", "tar"}) std::filesystem::create_directories(folder_ / folder);
  const Status read = read_image_archive(folder_ / "c.tar", folder_ / "ours");
  ASSERT_TRUE(read) << read.error().message;
  SpawnOptions tar;
  tar.argv = {"tar", "-xf", folder_ / "c.tar", "-C", folder_ / "tar"};
  const auto done = run_command(tar, std::chrono::seconds(20));
  ASSERT_TRUE(done && done->status.ok()) << done->err;
  for (const char* folder : {"ours/", "tar/"}) {
    for (const std::size_t length : {99U, 100U, 101U, 255U}) {
      EXPECT_EQ(read_file(folder_ / (folder + std::string(length, 'n')), 1000).value_or(""), std::to_string(length));
    }
  }
}

// Whatever is changed in what a long name takes.
TEST_F(ImageArchiveTest, DamagedLongNamesAreRefused) {
  std::filesystem::create_directories(folder_ / "long");
  std::ofstream(folder_ / ("long/" + std::string(120, 'n'))) << "x";
  ASSERT_TRUE(write_image_archive(folder_ / "long", folder_ / "c.tar"));
  const std::string whole = read_file(folder_ / "c.tar", 1U << 20U).value();
  for (const std::size_t at : {0U, 124U, 156U, 512U, 516U, 523U, 640U, 900U, 1024U}) {
    std::string changed = whole;
    changed[at] = '/';
    std::ofstream(folder_ / "d.tar", std::ios::binary) << changed;
    EXPECT_FALSE(read_image_archive(folder_ / "d.tar", folder_ / "long")) << at;
  }
}

TEST_F(ImageArchiveTest, NoImagesAreAnError) {
  std::filesystem::create_directories(folder_ / "none");
  EXPECT_FALSE(write_image_archive(folder_ / "none", folder_ / "c.tar"));
}

TEST_F(ImageArchiveTest, ComesBackAsItWas) {
  std::filesystem::create_directories(folder_ / "out");
  const Status read = read_image_archive(folder_ / "a.tar", folder_ / "out");
  ASSERT_TRUE(read) << read.error().message;
  for (const char* name : {"shot_0001.png", "shot_0002.png", "shot_0003.png"}) {
    EXPECT_EQ(read_file(folder_ / (std::string("out/") + name), 1000).value(),
              read_file(folder_ / (std::string("images/") + name), 1000).value());
  }
}

// Whatever is changed in it: no file outside the folder, and nothing that was not asked for.
TEST_F(ImageArchiveTest, DamagedOrForeignArchivesAreRefused) {
  const std::string whole = read_file(folder_ / "a.tar", 1U << 20U).value();
  const auto refused = [&](std::string bytes) {
    std::filesystem::remove_all(folder_ / "out");
    std::filesystem::create_directories(folder_ / "out");
    std::ofstream(folder_ / "b.tar", std::ios::binary) << bytes;
    return !read_image_archive(folder_ / "b.tar", folder_ / "out");
  };
  for (std::size_t length = 0; length + 512 < whole.size(); length += 100) EXPECT_TRUE(refused(whole.substr(0, length))) << length;
  for (const std::size_t at : {0U, 124U, 156U, 148U, 345U}) {
    std::string changed = whole;
    changed[at] = 'Z';
    EXPECT_TRUE(refused(changed)) << at;
  }
  std::filesystem::create_directories(folder_ / "dots");
  std::ofstream(folder_ / "dots/.hidden") << "x";
  ASSERT_TRUE(write_image_archive(folder_ / "dots", folder_ / "dots.tar"));
  EXPECT_FALSE(read_image_archive(folder_ / "dots.tar", folder_ / "out"));
}

}  // namespace
}  // namespace kiln::worker
