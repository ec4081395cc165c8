#include "cli/upscale/clip_job.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/stopping_file_system.h"
#include "tests/base/temp_folder.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

// One clip of three frames in one segment, rendered and joined, and about to be finished.
class ClipJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.config.state_dir = folder_ / "state";
    std::ofstream(source_) << "a clip";
  }

  [[nodiscard]] Result<ClipJob> open() const {
    return open_clip_job(posix_file_system(), options_, package_, ClipId{0}, source_, output_);
  }
  void render(const ClipJob& job) const {
    JobPlan plan;
    plan.identity = job.identity;
    ASSERT_TRUE(job.folder->begin(plan));
    SegmentRecord record;
    record.frames = 3;
    std::ofstream(job.folder->part_path(0, 1)) << "three frames";
    ASSERT_TRUE(job.folder->finish_segment(record, job.folder->part_path(0, 1)));
    std::ofstream(job.place->temporary()) << "a video";
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
  }

  test::TempFolder folder_;
  std::string source_ = folder_ / "in.mp4";
  std::string output_ = folder_ / "out.mp4";
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
