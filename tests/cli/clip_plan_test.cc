// Tiles decide bits: they depend on clip, network and machine, and on nothing that changes between two runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/units.h"
#include "cli/upscale/clip_job.h"
#include "tests/base/temp_folder.h"
#include "tests/sharding/graph_sample.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kFrameHeight = 200;
constexpr std::int64_t kFrameWidth = 16;
constexpr std::uint64_t kWholeBytes = 3ULL * 3 * kFrameHeight * kFrameWidth * 4;  // three tensors of the sample graph

class ClipPlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.config.state_dir = folder_ / "state";
    std::ofstream(folder_ / "in.mp4") << "a clip";
    package_.manifest.tiling = {sharding::TilingKind::kExact, 2, 0.0};
    package_.manifest.size_multiple = 2;
    sharding::PackageGraph range;
    range.dynamic = true;
    range.height_min = 16;
    range.height_max = kFrameHeight;
    range.width_min = range.width_max = kFrameWidth;
    package_.manifest.graphs = {range};
    PackageFolder::Graph graph;
    graph.graph = sharding::parse_exported_graph(sharding::sample_program().dump(), "sample").value();
    package_.graphs.push_back(std::move(graph));
  }

  [[nodiscard]] ClipJob open() const {
    ClipJob job = open_clip_job(posix_file_system(), options_, package_, ClipId{0}, folder_ / "in.mp4",
                                folder_ / "out.mkv").value();
    job.probe.emplace();
    job.probe->width = kFrameWidth;
    job.probe->height = kFrameHeight;
    job.probe->frames = 20;
    return job;
  }
  // Planned and written down.
  [[nodiscard]] ClipJob plan(const PlanLimits& limits) const {
    ClipJob job = open();
    EXPECT_TRUE(plan_clip(job, options_, package_, limits));
    EXPECT_TRUE(settle_plan(job, limits));
    return job;
  }
  [[nodiscard]] ClipJob new_plan(const PlanLimits& limits) const {
    std::filesystem::remove_all(options_.config.state_dir);
    return plan(limits);
  }
  void finish_first_segment(const ClipJob& job) const {
    SegmentRecord record;
    record.frames = job.segments.segments[0].frame_count();
    std::ofstream(job.folder->part_path(0, 1)) << "frames";
    ASSERT_TRUE(job.folder->finish_segment(record, job.folder->part_path(0, 1)));
  }
  static PlanLimits limits(std::uint64_t activation_bytes, int lanes) {
    PlanLimits out;
    out.activation_bytes_max = activation_bytes;
    out.memory_bytes = 1_GiB;
    out.lanes = lanes;
    return out;
  }

  test::TempFolder folder_;
  UpscaleOptions options_;
  PackageFolder package_;
};

TEST_F(ClipPlanTest, TilesFollowTheLimitAndNotTheLanes) {
  options_.config.segment_frames = 5;
  for (const int lanes : {1, 64}) {
    EXPECT_FALSE(new_plan(limits(kWholeBytes, lanes)).tiles.is_tiled());
    EXPECT_TRUE(new_plan(limits(kWholeBytes / 3, lanes)).tiles.is_tiled());
  }
}

TEST_F(ClipPlanTest, AJobThatWasBegunKeepsItsTilesAndSegmentsUnderAnyLimit) {
  for (const auto& [before, after] : {std::pair(kWholeBytes / 3, kWholeBytes), std::pair(kWholeBytes, kWholeBytes / 3)}) {
    const ClipJob first = new_plan(limits(before, 1));
    finish_first_segment(first);
    const ClipJob again = plan(limits(after, 2));
    EXPECT_EQ(again.tiles.shape, first.tiles.shape);
    EXPECT_EQ(again.tiles.windows, first.tiles.windows);
    EXPECT_EQ(again.resumed_segments, 1);
  }
}

TEST_F(ClipPlanTest, AJobWhoseTilesNoLongerFitIsRefusedAndKept) {
  const ClipJob first = plan(limits(kWholeBytes, 1));
  finish_first_segment(first);
  PlanLimits small = limits(kWholeBytes / 3, 2);
  small.memory_bytes = kWholeBytes + 1;
  ClipJob again = open();
  const Status refused = plan_clip(again, options_, package_, small);
  ASSERT_FALSE(refused);
  EXPECT_EQ(exit_code(refused.error()), 1);
  EXPECT_THAT(refused.error().message, HasSubstr("begun with tiles of 16x200"));
  EXPECT_THAT(refused.error().message, HasSubstr(first.folder->path()));
  small.lanes = 1;
  EXPECT_EQ(plan(small).resumed_segments, 1);
}

TEST_F(ClipPlanTest, TilesThatNoPlanHasAnyMoreStartOver) {
  JobPlan strange;
  strange.identity = open().identity;
  strange.tile_height = 17;
  strange.tile_width = 19;
  ASSERT_TRUE(open().folder->begin(strange));
  const ClipJob again = plan(limits(kWholeBytes, 1));
  EXPECT_EQ(again.tiles.shape, (sharding::TileShape{kFrameHeight, kFrameWidth}));
}

}  // namespace
}  // namespace kiln::cli
