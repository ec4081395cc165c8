#include "cli/upscale/job_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

class JobFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kiln-job-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    state_ = pattern;
  }
  void TearDown() override { fs::remove_all(state_); }

  JobFolder open() { return JobFolder::open(posix_file_system(), state_, std::string(64, 'a')).value(); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  SegmentRecord finish(const JobFolder& folder, std::int64_t segment, const std::string& content) {
    const std::string part = folder.part_path(segment, 1);
    write(part, content);
    SegmentRecord record;
    record.segment = segment;
    record.frames = 7;
    record.frame_hashes = "00ff";
    EXPECT_TRUE(folder.finish_segment(record, part));
    return record;
  }

  std::string state_;
};

JobPlan a_plan() {
  JobPlan plan;
  plan.identity = std::string(64, 'a');
  plan.frames = 21;
  plan.segment_frames = 7;
  plan.tile_height = 180;
  plan.tile_width = 320;
  plan.threads_per_lane = 2;
  plan.artifact_key = "ab";
  return plan;
}

TEST_F(JobFolderTest, FinishedSegmentsAreThereWhenOpenedAgain) {
  {
    const JobFolder folder = open();
    ASSERT_TRUE(folder.begin(a_plan()));
    finish(folder, 0, "first");
    finish(folder, 2, "third");
  }
  const JobFolder again = open();
  JobPlan plan;
  ASSERT_TRUE(again.load_plan(plan).value());
  EXPECT_EQ(plan, a_plan());
  const auto records = again.load_segments().value();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].segment, 0);
  EXPECT_EQ(records[0].frame_hashes, "00ff");
  EXPECT_EQ(records[1].file_bytes, 5U);
}

TEST_F(JobFolderTest, ChangedMissingOrTornSegmentsAreRenderedAgain) {
  const JobFolder folder = open();
  ASSERT_TRUE(folder.begin(a_plan()));
  for (int i = 0; i < 4; ++i) finish(folder, i, "content");
  write(folder.segment_path(0), "changed");
  fs::remove(folder.segment_path(1));
  write(folder.path() + "/000002.json", "{\"segment\": 2,");
  const auto records = folder.load_segments().value();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].segment, 3);
}

TEST_F(JobFolderTest, WhatALaneLeftUnfinishedIsNoSegment) {
  const JobFolder folder = open();
  ASSERT_TRUE(folder.begin(a_plan()));
  write(folder.part_path(0, 1), "half");
  // The crash between the file and its record.
  write(folder.segment_path(1), "whole, but nobody vouches for it");
  EXPECT_TRUE(folder.load_segments().value().empty());
}

TEST_F(JobFolderTest, BeginningAnewForgetsTheOldSegments) {
  const JobFolder folder = open();
  ASSERT_TRUE(folder.begin(a_plan()));
  finish(folder, 0, "old");
  JobPlan other = a_plan();
  other.threads_per_lane = 1;
  ASSERT_TRUE(folder.begin(other));
  EXPECT_TRUE(folder.load_segments().value().empty());
}

TEST_F(JobFolderTest, APlanThatCannotBeReadStartsOver) {
  const JobFolder folder = open();
  write(folder.path() + "/plan.json", "{\"format_version\": 99}");
  JobPlan plan;
  EXPECT_FALSE(folder.load_plan(plan).value());
}

TEST_F(JobFolderTest, OnlyTheOutcomeStaysWhenTheClipIsJoined) {
  const JobFolder folder = open();
  ASSERT_TRUE(folder.begin(a_plan()));
  finish(folder, 0, "first");
  EXPECT_EQ(folder.load_outcome(), "");
  ASSERT_TRUE(folder.record_outcome("what became of it"));
  EXPECT_EQ(open().load_segments()->size(), 1U);
  ASSERT_TRUE(folder.drop_segments());
  EXPECT_EQ(open().load_outcome(), "what became of it");
  EXPECT_TRUE(open().load_segments()->empty());
  EXPECT_FALSE(fs::exists(folder.segment_path(0)));
  folder.remove();
  EXPECT_FALSE(fs::exists(folder.path()));
}

}  // namespace
}  // namespace kiln::cli
