#include "cli/upscale/clip_job.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cli/upscale/image_files.h"
#include "tests/base/stopping_file_system.h"
#include "tests/base/temp_folder.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNever = 1'000'000;

// One clip of three frames in one segment, rendered and joined, and about to be finished.
class ClipJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.config.state_dir = folder_ / "state";
    std::ofstream(source_) << "a clip";
  }

  [[nodiscard]] Result<ClipJob> open(FileSystem& files = posix_file_system()) const {
    return open_clip_job(files, options_, package_, ClipId{0}, source_, output_);
  }
  void render(const ClipJob& job) const {
    JobPlan plan;
    plan.identity = job.identity;
    ASSERT_TRUE(job.folder->begin(plan));
    SegmentRecord record;
    record.frames = 3;
    std::ofstream(job.folder->part_path(0, 1)) << "three frames";
    ASSERT_TRUE(job.folder->finish_segment(record, job.folder->part_path(0, 1)));
    join(job);
  }
  void join(const ClipJob& job) const {
    if (!is_image_pattern(output_)) {
      std::ofstream(job.place->temporary()) << "a video";
      return;
    }
    const fs::path temporary = fs::path(job.place->temporary()).parent_path();
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
    auto job = open(files);
    if (!job) {
      EXPECT_TRUE(files.stopped()) << job.error().message;
      return false;
    }
    if (job->finished_earlier) return true;
    if (job->records.empty() && !job->earlier) {
      JobPlan plan;
      plan.identity = job->identity;
      if (!job->folder->begin(plan)) return false;
    }
    join(*job);
    const bool finished = finish_clip_job(files, *job, report()).has_value();
    if (!finished) job->place->discard();  // as after an error; a kill leaves more
    EXPECT_TRUE(finished || files.stopped());
    return finished;
  }

  test::TempFolder folder_;
  std::string source_ = folder_ / "in.mp4";
  std::string output_ = folder_ / "out.mp4";
  std::string images_ = folder_ / "images/%d.png";
  UpscaleOptions options_;
  PackageFolder package_;
};

TEST_F(ClipJobTest, KilledAnywhereWhileItIsFinishedTheSameCommandGoesOn) {
  int finished = 0;
  int rendered = 0;
  for (std::uint64_t n = 1;; ++n) {
    SCOPED_TRACE(n);
    start_over();
    ClipJob job = open().value();
    render(job);
    test::StoppingFileSystem files;
    // The folder of a job keeps the disk that it was opened with.
    job.folder = JobFolder::open(files, options_.config.state_dir, job.identity).value();
    files.stop_at(n);
    const Status status = finish_clip_job(files, job, report());
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
      ++rendered;
      EXPECT_FALSE(fs::exists(output_));
      ASSERT_TRUE(again->earlier);
      EXPECT_EQ(again->folder->load_segments()->size(), 1U);
    }
  }
  EXPECT_GE(finished, 2);  // killed after the rename, with segments still there
  EXPECT_GE(rendered, 4);  // killed before
}

// An older, longer sequence is replaced. Ended anywhere, repeated and ended again, the third time it comes to its end.
TEST_F(ClipJobTest, ImagesEndedTwiceAnywhereComeIntoPlaceTheThirdTime) {
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

TEST_F(ClipJobTest, HalfMovedImagesAreNotInTheWayOfTheSameCommand) {
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

TEST_F(ClipJobTest, ChangedImageOfTheSourceIsAnotherJob) {
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

TEST_F(ClipJobTest, AnotherFileUnderTheOutputsNameIsNotTheJobs) {
  ClipJob job = open().value();
  render(job);
  ASSERT_TRUE(finish_clip_job(posix_file_system(), job, report()));
  ASSERT_TRUE(open().value().finished_earlier);
  std::ofstream(output_) << "a video of somebody else";
  const auto again = open();
  ASSERT_FALSE(again);
  EXPECT_EQ(exit_code(again.error()), 73);
}

}  // namespace
}  // namespace kiln::cli
