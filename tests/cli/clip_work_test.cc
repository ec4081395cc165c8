#include "cli/upscale/clip_work.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/image_files.h"
#include "net/farm_names.h"
#include "tests/base/stopping_file_system.h"
#include "tests/base/temp_folder.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNever = 1'000'000;

// One clip of three frames that the farm has joined, and that is about to come into its place.
class ClipWorkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.config.state_dir = folder_ / "state";
    std::ofstream(source_) << "a clip";
  }

  [[nodiscard]] Result<ClipWork> open(FileSystem& files = posix_file_system()) const {
    KILN_TRY_ASSIGN(const FinishedClips finished, FinishedClips::open(files, options_.config.state_dir));
    return open_clip_work(files, options_, finished, std::string(64, 'a'), source_, output_);
  }
  [[nodiscard]] Status place(FileSystem& files, ClipWork& clip) const {
    KILN_TRY_ASSIGN(const FinishedClips finished, FinishedClips::open(files, options_.config.state_dir));
    return place_clip(files, finished, clip, report());
  }
  // What the farm made of it comes to its temporary name.
  void fetch(const ClipWork& clip) const {
    if (!is_output_pattern(output_)) {
      std::ofstream(clip.place->temporary()) << "a video";
      return;
    }
    const fs::path temporary = fs::path(clip.place->temporary()).parent_path();
    for (const int number : {1, 2, 3}) std::ofstream(temporary / fmt::format("{}.png", number)) << "new " << number;
  }
  [[nodiscard]] ClipReport report() const {
    ClipReport out;
    out.source = source_;
    out.output = output_;
    out.frames = 3;
    out.segments = 1;
    return out;
  }
  // Folders and files as they were before anything was asked for.
  void start_over() const {
    fs::remove_all(options_.config.state_dir);
    fs::remove(output_);
    fs::remove_all(fs::path(images_).parent_path());
    fs::create_directory(fs::path(images_).parent_path());
  }
  // What is in the folder of the sequence, as "name: content".
  [[nodiscard]] std::vector<std::string> images() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(fs::path(images_).parent_path())) {
      std::ifstream file(entry.path());
      std::string text;
      std::getline(file, text);
      found.push_back(entry.path().filename().string() + ": " + text);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  // One run of the command on a disk that stops at operation `n`. True: it came to its end.
  bool run_until(std::uint64_t n) {
    test::StoppingFileSystem files;
    files.stop_at(n);
    auto clip = open(files);
    if (!clip) {
      EXPECT_TRUE(files.stopped()) << clip.error().message;
      return false;
    }
    if (clip->finished_earlier) return true;
    fetch(*clip);
    const bool placed = place(files, *clip).has_value();
    if (!placed) clip->place->discard();  // as after an error; a kill leaves more
    EXPECT_TRUE(placed || files.stopped());
    return placed;
  }

  test::TempFolder folder_;
  std::string source_ = folder_ / "in.mp4";
  std::string output_ = folder_ / "out.mp4";
  std::string images_ = folder_ / "images/%d.png";
  UpscaleOptions options_;
};

TEST_F(ClipWorkTest, KilledAnywhereWhileItIsPlacedTheSameCommandGoesOn) {
  int finished = 0;
  int open_still = 0;
  for (std::uint64_t n = 1;; ++n) {
    SCOPED_TRACE(n);
    start_over();
    ClipWork clip = open().value();
    fetch(clip);
    test::StoppingFileSystem files;
    files.stop_at(n);
    const Status status = place(files, clip);
    if (!files.stopped()) {
      EXPECT_TRUE(status);
      break;
    }
    const auto again = open();
    ASSERT_TRUE(again) << again.error().message;
    if (again->finished_earlier) {
      ++finished;
      EXPECT_EQ(again->finished_earlier->frames, 3);
      EXPECT_TRUE(fs::exists(output_));
    } else {
      ++open_still;
      EXPECT_FALSE(fs::exists(output_));
    }
  }
  EXPECT_GE(finished, 1);    // killed after the rename
  EXPECT_GE(open_still, 4);  // killed before
}

TEST_F(ClipWorkTest, TheSameRequestIsTheSameJobAndAnyOtherIsAnother) {
  const auto job = [&] {
    std::vector<ClipWork> clips;
    clips.push_back(open().value());
    return make_job_request(options_, clips).job;
  };
  const net::JobName first = job();
  EXPECT_EQ(job(), first);
  EXPECT_TRUE(net::valid_job_name(first)) << first;
  options_.config.quality = 12;
  const net::JobName other = job();
  EXPECT_NE(other, first);
  options_.scale = "1.5";
  const net::JobName scaled = job();
  EXPECT_NE(scaled, other);
  options_.config.compile_mode = "max-autotune";  // other code, which may give other bits
  EXPECT_NE(job(), scaled);
}

// An older, longer sequence is replaced. Ended anywhere, repeated and ended again, the third time it comes to its end.
TEST_F(ClipWorkTest, ImagesEndedTwiceAnywhereComeIntoPlaceTheThirdTime) {
  output_ = images_;
  options_.overwrite = true;
  const std::vector<std::string> wanted{"1.png: new 1", "2.png: new 2", "3.png: new 3"};
  constexpr std::uint64_t kStep = 3;  // each second end follows some first ones
  bool first_ended = false;
  for (std::uint64_t n = 1; !first_ended; ++n) {
    bool second_ended = false;
    for (std::uint64_t m = 1 + n % kStep; !second_ended; m += kStep) {
      SCOPED_TRACE(fmt::format("ended before operations {} and {}", n, m));
      start_over();
      for (const int number : {1, 3, 4, 10}) std::ofstream(folder_ / fmt::format("images/{}.png", number)) << "old";
      first_ended = run_until(n);
      second_ended = run_until(m);
      ASSERT_TRUE(run_until(kNever));
      ASSERT_EQ(images(), wanted);
      ASSERT_TRUE(open().value().finished_earlier);  // ended before its folder was removed
    }
  }
}

TEST_F(ClipWorkTest, HalfMovedImagesAreNotInTheWayOfTheSameCommand) {
  output_ = images_;
  start_over();
  std::uint64_t n = 1;
  while (!run_until(n)) {
    SCOPED_TRACE(n);
    ASSERT_TRUE(run_until(kNever));
    EXPECT_EQ(images().size(), 3U);
    start_over();
    ++n;
  }
  EXPECT_GT(n, 15U);
}

TEST_F(ClipWorkTest, ChangedImageOfTheSourceIsAnotherJob) {
  fs::create_directory(folder_ / "source");
  for (const char* name : {"a1.png", "a2.png"}) std::ofstream(folder_ / "source/" + name) << "picture";
  for (const char* source : {"source/a%d.png", "source/a*.png", "source/a?.png", "source/a[12].png", "source"}) {
    SCOPED_TRACE(source);
    source_ = folder_ / source;
    const std::string before = open().value().identity;
    EXPECT_EQ(open().value().identity, before);
    std::ofstream(folder_ / "source/a2.png", std::ios::app) << "changed";
    const std::string changed = open().value().identity;
    EXPECT_NE(changed, before);
    std::ofstream(folder_ / "source/a3.png") << "one more";
    if (std::string(source).find("[12]") == std::string::npos) {
      EXPECT_NE(open().value().identity, changed);
    }
    fs::remove(folder_ / "source/a3.png");
    EXPECT_EQ(open().value().identity, changed);
  }
}

TEST_F(ClipWorkTest, AnotherFileUnderTheOutputsNameIsNotTheJobs) {
  ClipWork clip = open().value();
  fetch(clip);
  ASSERT_TRUE(place(posix_file_system(), clip));
  ASSERT_TRUE(open().value().finished_earlier);
  std::ofstream(output_) << "a video of somebody else";
  const auto again = open();
  ASSERT_FALSE(again);
  EXPECT_EQ(exit_code(again.error()), 73);
}

}  // namespace
}  // namespace kiln::cli
